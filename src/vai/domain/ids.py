"""Ids that follow from what they name, so that deciding stays pure."""

from hashlib import blake2b

from vai.domain.state import Instant, StepState


def action_run_id(run_id: str, step_key: str, attempt: int, at: Instant) -> str:
    """The id of a step's action run in one attempt: a UUIDv7 whose random part is a hash of its name."""
    return _uuid7(f"{run_id}:{step_key}:{attempt}", at)


def idempotency_key(run_id: str, step_key: str, attempt: int) -> str:
    """What an action may hand to the outside: the same over automatic retries and interrupts."""
    return f"{run_id}:{step_key}:{attempt}"


def interrupt_decision_id(run_id: str, step: StepState) -> str:
    """The id of the question whether an interrupted step had happened. Begins with the time the step started."""
    return _uuid7(f"{run_id}:{step.key}:{step.attempt}:interrupt {step.interrupts}", step.started_at or 0)


def _uuid7(name: str, at: Instant) -> str:
    noise = blake2b(name.encode()).hexdigest()
    time = f"{at & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:18]}"
