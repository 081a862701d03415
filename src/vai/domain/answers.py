"""What becomes of a step when people have decided, or nobody did in time."""

from datetime import UTC, datetime

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.deciding import Deciding
from vai.domain.ids import interrupt_decision_id
from vai.domain.state import Instant, Result, StepError, StepState
from vai.domain.status import DecisionStatus, OnExpire


def take_answer(deciding: Deciding, step: StepState, answer: c.Decide) -> None:
    """Let a person's answer move the step that waits for it."""
    outcome = DecisionStatus.APPROVED if answer.approved else DecisionStatus.REJECTED
    decided = e.StepDecided(
        deciding.now, step.key, answer.decision_id, outcome, answer.by, answer.by_name, answer.reason, answer.fields
    )
    deciding.emit(decided)
    is_of_interrupt = answer.decision_id == interrupt_decision_id(deciding.draft.origin.id, step)
    if answer.approved:
        result = Result(answer.fields) if is_of_interrupt else _result(decided)
        deciding.end(e.StepCompleted(deciding.now, step.key, result))
    elif not is_of_interrupt:
        deciding.fail(step.key, StepError("rejected", answer.reason or "Rejected.", False, _value(decided)))
    # Else the interrupted step had not happened, and so it is free to run again.


def expire(deciding: Deciding, step: StepState) -> None:
    """Nobody has decided in time: the step completes or fails by its rule."""
    rule = step.on_expire
    decided = e.StepDecided(deciding.now, step.key, step.decision_id or "", DecisionStatus.EXPIRED)
    deciding.emit(decided)
    if rule is OnExpire.APPROVE:
        deciding.end(e.StepCompleted(deciding.now, step.key, _result(decided)))
    else:
        error_type = "rejected" if rule is OnExpire.REJECT else "expired"
        deciding.fail(step.key, StepError(error_type, "Nobody decided in time.", False, _value(decided)))


def _result(decided: e.StepDecided) -> Result:
    return Result(_value(decided))


def _value(decided: e.StepDecided) -> dict[str, object]:
    return {
        "outcome": decided.outcome.value,
        "by": decided.by,
        "byName": decided.by_name,
        "reason": decided.reason,
        "fields": decided.fields,
        "decidedAt": _text(decided.at),
    }


def _text(at: Instant) -> str:
    text = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
