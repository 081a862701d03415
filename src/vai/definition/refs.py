"""The connections that a config names for certain: what can be said of them before a run needs one."""

from collections.abc import Iterator
from typing import Any

from vai.definition.faults import Loc
from vai.definition.template import OPEN
from vai.ports import Fault, Ref, refs_in


def fixed_refs(config: Any) -> Iterator[tuple[Loc, Ref]]:
    """Those in the steps of a config that no expression makes, with their place in it."""
    for i, step in enumerate(config.get("steps", ())):
        for loc, ref in refs_in(step.get("definition"), ("steps", i, "definition")):
            if not any(OPEN in word for word in ([ref] if isinstance(ref, str) else ref.values())):
                yield loc, ref


def unknown_ref(loc: Loc, ref: Ref) -> Fault:
    """The note on a connection that is not there (yet)."""
    shown = ref if isinstance(ref, str) else " ".join(next(iter(ref.items())))
    return Fault(loc, f"There is no connection {shown!r} yet; a step that needs it fails.", "unknown_connection")
