"""Ids that follow from what they name, so that deciding stays pure."""

import re
from hashlib import blake2b

from vai.domain.state import Instant, StepState


def action_run_id(run_id: str, step_key: str, attempt: int, at: Instant) -> str:
    """The id of a step's action run in one attempt: a UUIDv7 whose random part is a hash of its name."""
    return _uuid7(f"{run_id}:{step_key}:{attempt}", at)


def artifact_id(name: str, at: Instant) -> str:
    """The id of the artifact that holds what the state machine itself made of others' results."""
    return _uuid7(f"{name}:artifact", at)


def idempotency_key(run_id: str, step_key: str, attempt: int) -> str:
    """What an action may hand to the outside: the same over automatic retries and interrupts."""
    return f"{run_id}:{step_key}:{attempt}"


_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def is_traceparent(text: str | None) -> bool:
    """True for a `traceparent` as W3C Trace Context writes it; one of version 00 has nothing behind it."""
    return text is not None and bool(_TRACEPARENT.fullmatch(text)) and (len(text) == 55 or not text.startswith("00"))


def trace_id(run_id: str, caller: str | None) -> str:
    """The trace of a run: its caller's (a `traceparent`), else the run's own id without its dashes."""
    return run_id.replace("-", "") if caller is None else caller[3:35]


def run_span_id(run_id: str, attempt: int) -> str:
    """The span of a run's attempt, which follows from its name: any process can continue the trace."""
    return _span_id(f"{run_id}:{attempt}")


def step_span_id(run_id: str, step_key: str, attempt: int) -> str:
    """The span of a step in one attempt of the run."""
    return _span_id(f"{run_id}:{step_key}:{attempt}")


def step_traceparent(run_id: str, step_key: str, attempt: int, caller: str | None) -> str:
    """What a step hands on to what it calls: its span as their parent, and whether the caller's trace is kept."""
    flags = "01" if caller is None else caller[53:55]
    return f"00-{trace_id(run_id, caller)}-{step_span_id(run_id, step_key, attempt)}-{flags}"


def _span_id(name: str) -> str:
    return blake2b(name.encode(), digest_size=8).hexdigest()


def interrupt_decision_id(run_id: str, step: StepState) -> str:
    """The id of the question whether an interrupted step had happened. Begins with the time the step started."""
    return _uuid7(f"{run_id}:{step.key}:{step.attempt}:interrupt {step.interrupts}", step.started_at or 0)


def _uuid7(name: str, at: Instant) -> str:
    noise = blake2b(name.encode()).hexdigest()
    time = f"{at & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:18]}"
