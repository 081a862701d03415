"""What is wrong with a config: all faults gathered, told in sentences, sorted by place."""

import difflib
from collections.abc import Iterable

from vai.ports import Fault

Loc = tuple[str | int, ...]
"""A path inside config, e.g. `("steps", 2, "dependsOn")`."""

MAX_FAULTS = 500
"""So many faults are told; a config with more of them is read again anyway once these are mended."""
MAX_SUGGESTIONS = 50
"""So many unknown names are compared with the known ones: comparing is slow, and config may be hostile."""


class InvalidDefinition(Exception):
    """A config that cannot be accepted: every fault, sorted by place."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{place(fault.loc)}{fault.msg}" for fault in self.faults))


class Faults:
    """Gathers faults while a config is read."""

    def __init__(self) -> None:
        self._found: dict[tuple[Loc, str], Fault] = {}
        self._suggestions = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, loc: Loc, msg: str, kind: str = "value_error") -> None:
        """Note one fault: where it is, a sentence, and its class."""
        if len(self._found) < MAX_FAULTS:
            self._found.setdefault((loc, msg), Fault(loc, msg, kind))

    def suggest(self, name: str, known: Iterable[str]) -> str:
        """The end of a sentence about an unknown name: `did you mean 'x'?`, the known ones, or nothing."""
        names = sorted(known)
        if self._suggestions >= MAX_SUGGESTIONS or not names:
            return ""
        self._suggestions += 1
        near = difflib.get_close_matches(name[:64], names[:2000], n=1, cutoff=0.6)
        if near:
            return f" Did you mean {near[0]!r}?"
        return f" Known are: {', '.join(names)}." if len(names) <= 20 else ""

    def check(self) -> None:
        """Raise InvalidDefinition if there is any fault."""
        if self._found:
            raise InvalidDefinition(self.listed())

    def listed(self) -> tuple[Fault, ...]:
        """The faults, sorted by place."""
        return tuple(sorted(self._found.values(), key=lambda fault: _order(fault.loc)))


def place(loc: Loc) -> str:
    """`("steps", 2, "dependsOn")` as `steps[2].dependsOn: `; nothing for the config as a whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{text}: " if text else ""


def shown(name: str) -> str:
    """A name from the config as it stands in a sentence: quoted, and cut when it is long."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _order(loc: Loc) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in loc)
