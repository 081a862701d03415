"""How many rows a step handled, and how far it is, read from what actions report: no kind is known here."""

from collections.abc import Mapping
from typing import Any

_COUNTS = ("rowCount", "row_count", "rows", "tables")
_SHOWN_FIELDS = 3


def counted(number: int, thing: str) -> str:
    """So many of a thing: `1 row`, `2,000 rows`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def rows_of(value: Any) -> int | None:
    """The number of rows that a result or a progress names: as a number, a list, or numbers per table."""
    if not isinstance(value, Mapping):
        return None
    for name in _COUNTS:
        found = _count(value.get(name))
        if found is not None:
            return found
    return None


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, list):
        parts = [rows_of(item) for item in value]
        return sum(part or 0 for part in parts) if parts and None not in parts else len(value)
    if isinstance(value, Mapping) and value:
        counts = [part if isinstance(part, int) else rows_of(part) for part in value.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
    return None


def note_of(progress: Mapping[str, Any]) -> str:
    """A progress in a few words: `loading 3/10`, else its first fields."""
    words = [str(progress[name]) for name in ("phase", "message") if progress.get(name)]
    done, total = progress.get("done"), progress.get("total")
    if done is not None:
        words.append(f"{done}/{total}" if total is not None else f"{done} done")
    if not words:
        plain = [(k, v) for k, v in progress.items() if k not in _COUNTS and isinstance(v, str | int | float)]
        words = [f"{name}={value}" for name, value in plain[:_SHOWN_FIELDS]]
    return " ".join(words)
