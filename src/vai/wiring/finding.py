"""What `vai doctor` says of one thing."""

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """One thing that was looked at. `level`: ok, note (works, but look at it) or wrong. `advice`: what to do."""

    check: str
    level: str
    found: str
    advice: str = ""
