"""`wait`: be done later, and hold nothing meanwhile."""

import re
import time
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, Field, field_validator, model_validator

from vai.actions.checking import Definition
from vai.actions.kind import Kind
from vai.ports import ActionContext, Clock, Sleep

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DURATION = re.compile(r"(?=\d)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?\Z")
MAX_SECONDS = 10 * 366 * 86_400


def now_ms() -> int:
    """The present, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class WaitDefinition(Definition):
    """Exactly one of the three."""

    seconds: float | None = Field(None, ge=0, le=MAX_SECONDS)
    duration: str | None = Field(None, description="For example 90s, 5m, 1h30m or 2d")
    until: AwareDatetime | None = Field(None, description="A point in time with its zone, RFC 3339")

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, given: Any) -> Any:
        if isinstance(given, dict) and sum(given.get(f) is not None for f in cls.model_fields) != 1:
            raise ValueError("give exactly one of seconds, duration and until")
        return given

    @field_validator("duration")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None and duration_seconds(text) > MAX_SECONDS:
            raise ValueError("is longer than ten years")
        return text

    def ends_at(self, now: int) -> int:
        """When it is over, in milliseconds since the epoch."""
        if self.until is not None:
            return int(self.until.timestamp() * 1000)
        seconds = duration_seconds(self.duration) if self.duration is not None else self.seconds or 0
        return now + int(seconds * 1000)


def duration_seconds(text: str) -> float:
    """`1h30m` as 5400.0. Raises ValueError."""
    match = DURATION.match(text.strip())
    if match is None:
        raise ValueError("is not a duration such as 90s, 5m, 1h30m or 2d")
    return sum(float(match[unit]) * seconds for unit, seconds in UNITS.items() if match[unit])


class Wait(Kind):
    """The kind `wait`."""

    kind = "wait"
    title = "Wait"
    description = "Waits for a while, or until a point in time. Survives restarts."

    def __init__(self, clock: Clock = now_ms) -> None:
        super().__init__(WaitDefinition)
        self._clock = clock

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Answers Sleep at once."""
        until = self.parse(definition).ends_at(self._clock())
        text = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="milliseconds")
        return Sleep(until, {"until": text.replace("+00:00", "Z")})
