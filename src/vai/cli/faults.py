"""What is wrong with a body, in the words of the person who wrote it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: where (`steps[2].dependsOn`), and a sentence."""

    where: str
    message: str

    def line(self, source: str) -> str:
        """As a line that begins with the file's name."""
        return ": ".join(part for part in (source, self.where, self.message) if part)


def faults_of(body: Mapping[str, Any]) -> list[Fault]:
    """The faults that a 422 or the dry check lists."""
    listed = body.get("faults", body.get("detail"))
    if not isinstance(listed, list):
        return []
    return [
        Fault(path_of(fault.get("loc", ())), str(fault.get("msg", ""))) for fault in listed if isinstance(fault, dict)
    ]


def path_of(loc: Sequence[str | int]) -> str:
    """A path as people write it, without the parts that only the API knows."""
    parts = list(loc)
    for known in ("body", "config"):
        if parts and parts[0] == known:
            parts.pop(0)
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.lstrip(".")


def lines_of(faults: Iterable[Fault], source: str) -> tuple[str, ...]:
    """The faults of a file, a line each."""
    return tuple(fault.line(source) for fault in faults)


def sentence_of(body: Mapping[str, Any], status: int) -> str:
    """One sentence for a problem body, or for the 422 form."""
    faults = faults_of(body)
    if faults:
        return "The request was refused: " + "; ".join(fault.line("") for fault in faults)
    detail = body.get("detail") or body.get("title") or f"The server answered {status}."
    return str(detail)
