"""The connections that a definition names: in fields `connectionRef`, or whose names end so."""

from collections.abc import Iterator, Mapping
from typing import Any

from vai.ports.actions import REF_FIELDS, Ref

Loc = tuple[str | int, ...]
_NAMES = ("connectionref", "connection_ref")  # as fields end: `connectionRef`, `sourceConnectionRef`


def refs_in(definition: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Ref]]:
    """Every connection that a definition names, wherever it stands, with its place below `loc`."""
    if isinstance(definition, Mapping):
        for name, member in definition.items():
            if isinstance(name, str) and name.lower().endswith(_NAMES) and _is_ref(member):
                yield (*loc, name), member
            else:
                yield from refs_in(member, (*loc, name))
    elif isinstance(definition, list | tuple):
        for i, member in enumerate(definition):
            yield from refs_in(member, (*loc, i))


def _is_ref(value: Any) -> bool:
    if isinstance(value, Mapping):
        return len(value) == 1 and all(k in REF_FIELDS and isinstance(v, str) for k, v in value.items())
    return isinstance(value, str) and bool(value)
