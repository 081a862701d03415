"""`wait`: be done later, or when an event occurs, and hold nothing meanwhile."""

import json
import re
import time
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from vai.actions.checking import Definition
from vai.actions.kind import Kind
from vai.ports import ActionContext, ActionFailed, Await, Clock, Sleep

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DURATION = re.compile(r"(?=\d)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?\Z")
MAX_NAMES_BYTES = 64 * 1024
MAX_SECONDS = 10 * 366 * 86_400
EVENT_TYPE = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$"
_ONE_OF = ("seconds", "duration", "until", "event")
_WITH_EVENT = frozenset({"match", "since", "timeout", "onTimeout"})


def now_ms() -> int:
    """The present, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Match(Definition):
    """Which event will do: an expression over `event` and these values."""

    expression: str
    names: dict[str, Any]


class _Wait(Definition):
    """Exactly one of `seconds`, `duration`, `until` and `event`; the others go with `event`."""

    seconds: float | None = Field(None, ge=0, le=MAX_SECONDS)
    duration: str | None = Field(None, description="For example 90s, 5m, 1h30m or 2d")
    until: AwareDatetime | None = Field(None, description="A point in time with its zone, RFC 3339")
    event: str | None = Field(None, pattern=EVENT_TYPE, max_length=255, description="The type of an event")
    since: Literal["run", "step"] = Field(
        "run", description="From when on an event will do: from the beginning of the run's attempt, or of this step"
    )
    timeout: str | None = Field(None, description="How long to wait for the event at most, for example 2d")
    on_timeout: Literal["fail", "complete"] = Field("fail", description="What it means when it has not come by then")

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, given: Any) -> Any:
        if isinstance(given, dict) and sum(given.get(f) is not None for f in _ONE_OF) != 1:
            raise ValueError("give exactly one of seconds, duration, until and event")
        if isinstance(given, dict) and given.get("event") is None and (more := _WITH_EVENT.intersection(given)):
            raise ValueError(f"{min(more)} goes with event only")
        return given

    @field_validator("duration", "timeout")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None and duration_seconds(text) > MAX_SECONDS:
            raise ValueError("is longer than ten years")
        return text


class WaitTemplate(_Wait):
    """A wait as people write it."""

    match: str | None = Field(None, min_length=1, description="An expression over `event`, as in `if`")


class WaitDefinition(_Wait):
    """A wait with its expressions evaluated."""

    match: Match | None = None

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
    description = "Waits for a while, until a point in time, or for an event. Survives restarts."

    def __init__(self, clock: Clock = now_ms) -> None:
        super().__init__(WaitDefinition, WaitTemplate)
        self._clock = clock

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Answers Sleep or Await at once."""
        wait, now = self.parse(definition), self._clock()
        if wait.event is not None:
            return _await(wait, wait.event, now)
        until = wait.ends_at(now)
        text = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="milliseconds")
        return Sleep(until, {"until": text.replace("+00:00", "Z")})


def _await(wait: WaitDefinition, event_type: str, now: int) -> Await:
    until = None if wait.timeout is None else now + int(duration_seconds(wait.timeout) * 1000)
    expression, names = (None, None) if wait.match is None else (wait.match.expression, wait.match.names)
    if names is not None and len(json.dumps(names)) > MAX_NAMES_BYTES:
        message = f"What match names is more than {MAX_NAMES_BYTES // 1024} KiB; name the fields that it needs."
        raise ActionFailed("match_too_large", message)
    since = now if wait.since == "step" else None
    return Await(event_type, expression, names, since, until, wait.on_timeout == "fail")
