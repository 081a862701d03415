"""What becomes of a step that was interrupted: its engine, or the worker that ran it, died or was stopped."""

from vai.domain import events as e
from vai.domain.deciding import Deciding
from vai.domain.ids import interrupt_decision_id
from vai.domain.questions import Question
from vai.domain.state import StepError
from vai.domain.status import DecisionKind, OnInterrupt

MAX_INTERRUPTS = 5
"""A step whose engine dies this often in one attempt is taken to be the cause, and fails."""

_MESSAGE = (
    "Its engine went away in the middle of it. Yes: it had happened, and its result is in the fields. "
    "No: it runs again."
)


def interrupt(deciding: Deciding, key: str, reason: str) -> None:
    """The step at work is so no more; by its rule it is free to run again, failed, or put to a person.

    `reason`: `engine_lost`, which counts against the step, or `engine_stopped`.
    """
    deciding.emit(e.StepInterrupted(deciding.now, key, reason))
    step = deciding.draft.steps[key]
    draft = deciding.draft
    rule = draft.graph.steps[key].on_interrupt
    if draft.is_stopping:
        deciding.cancel(key)
    elif rule is OnInterrupt.FAIL:
        deciding.fail(key, StepError("interrupted", "Its engine went away in the middle of it."))
    elif step.losses >= MAX_INTERRUPTS:
        message = f"Its engine went away in the middle of it {step.losses} times."
        deciding.fail(key, StepError("interrupted", message))
    elif rule is OnInterrupt.ASK:
        decision_id = interrupt_decision_id(deciding.draft.origin.id, step)
        name = draft.graph.steps[key].name or key
        question = Question(f"Had {name} happened?", _MESSAGE, DecisionKind.INTERRUPT)
        deciding.emit(e.StepAwaitingApproval(deciding.now, key, decision_id, question))
