"""Why a run is not moving, or what moves it: in a sentence each, since when, until when, and what one can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from vai.domain.state import Instant, RunState, StepState
from vai.domain.status import RunStatus, StepStatus
from vai.ports import DecisionRecord, Turn
from vai.runs.door import Loaded

MAX_REASONS = 200


class Reason(msgspec.Struct, frozen=True):
    """What the run (`step_key` None) or one of its steps waits for, or that it is at work."""

    sentence: str
    step_key: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    advice: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """The reasons, those of the run first. `is_at_work`: an action is executed just now."""

    run_id: str
    status: RunStatus
    is_at_work: bool
    reasons: Sequence[Reason]


def explain(
    loaded: Loaded, turn: Turn, asked: Sequence[DecisionRecord], live_engines: int, *, is_embedded: bool
) -> Explanation:
    """Why a run stands where it stands. `turn` is its place by its concurrency key, `asked` are its open decisions,
    `live_engines` those that could drive it where the embedded engine does."""
    state = loaded.state
    questions: dict[str | None, DecisionRecord] = {decision.id: decision for decision in asked}
    reasons = [*_of_run(loaded, turn, live_engines, is_embedded), *_of_steps(state, questions)]
    return Explanation(state.id, state.status, state.executing > 0, reasons[:MAX_REASONS])


def _of_run(loaded: Loaded, turn: Turn, live_engines: int, is_embedded: bool) -> Iterator[Reason]:
    state, record = loaded.state, loaded.record
    if state.status.is_final:
        again = "A retry takes it up again." if state.status is not RunStatus.COMPLETED else None
        yield Reason(
            f"The run is {state.status.value}: nothing of it moves any more.", None, state.completed_at, None, again
        )
    elif turn.is_queued:
        yield _queued(record.concurrency_key, turn)
    elif state.cancel_requested_at is not None:
        sentence = "It is being cancelled, and ends when what is at work has stopped."
        yield Reason(sentence, None, state.cancel_requested_at, None, "What does not stop in its grace is ended.")
    elif state.stopping is not None:
        why = "it took too long" if state.stopping == "timeout" else "a step failed"
        yield Reason(f"It starts nothing more, because {why}, and ends when what is at work has stopped.")
    elif state.status is RunStatus.PENDING or (state.free and loaded.lease_owner is None):
        yield _not_driven(state, live_engines, is_embedded)
    elif state.status is RunStatus.AWAITING_APPROVAL:
        yield Reason("Nothing can move until a person decides.", advice="See which step waits for it below.")


def _queued(key: str | None, turn: Turn) -> Reason:
    holders = ", ".join(turn.under_way)
    ahead = f", and {turn.before} more before it" if turn.before else ""
    sentence = f"It waits for its turn by the concurrency key {key!r}: under way are {holders or 'none'}{ahead}."
    return Reason(sentence, None, turn.since, None, "It begins when one of those has ended; cancel one to make room.")


def _not_driven(state: RunState, live_engines: int, is_embedded: bool) -> Reason:
    since = state.attempt_started_at or state.context.created_at
    if not is_embedded:
        return Reason(
            "It waits for Temporal to take it up.", None, since, None, "vai doctor tells whether that answers."
        )
    if live_engines == 0:
        advice = "Start 'vai serve' without --no-engine, or 'vai worker'."
        return Reason("No engine is alive that could drive it.", None, since, None, advice)
    return Reason("It waits for an engine to take it, which is a matter of a moment.", None, since)


def _of_steps(state: RunState, questions: Mapping[str | None, DecisionRecord]) -> Iterator[Reason]:
    if state.status.is_final:
        return
    for step in state.steps.values():
        reason = None
        if step.status is StepStatus.AWAITING_APPROVAL:
            reason = _asked(step, questions.get(step.decision_id))
        elif not step.status.is_final:
            reason = _of_step(state, step)
        if reason is not None:
            yield reason


def _asked(step: StepState, question: DecisionRecord | None) -> Reason:
    who = " or ".join(question.assignees[:5]) if question and question.assignees else "Somebody"
    others = f" or {len(question.assignees) - 5} others" if question and len(question.assignees) > 5 else ""
    what = f": {question.title}" if question else "."
    advice = f"vai decisions approve {step.decision_id}, or reject."
    return Reason(f"{who}{others} has to decide{what}", step.key, step.started_at, step.wake_at, advice)


def _of_step(state: RunState, step: StepState) -> Reason | None:
    key = step.key
    if step.is_executing:
        tried = f" (try {step.tries})" if step.tries > 1 else ""
        return Reason(f"It is at work{tried}.", key, step.started_at)
    if step.child_run_id is not None and step.status is StepStatus.RUNNING:
        return Reason(f"It waits for the run {step.child_run_id}.", key, step.started_at, None, "Explain that run.")
    if step.awaits is not None:
        matching = f" for which {step.awaits.match} holds" if step.awaits.match else ""
        sentence = f"It waits for an event {step.awaits.event_type}{matching}."
        return Reason(sentence, key, step.started_at, step.wake_at, "Send it: vai events post, or POST /events.")
    if step.fan is not None and step.status is StepStatus.RUNNING:
        return Reason(
            f"It waits for {step.fan.unfinished} of its {len(step.fan.elements)} elements.", key, step.started_at
        )
    if step.wake_at is not None:
        return Reason("It waits for a point in time.", key, step.started_at, step.wake_at)
    return _of_pending(state, step)


def _of_pending(state: RunState, step: StepState) -> Reason | None:
    key, spec = step.key, state.graph.steps[step.key]
    if step.next_attempt_at is not None:
        error = step.error.message if step.error else "an error"
        return Reason(f"It is tried again after: {error}", key, None, step.next_attempt_at)
    if spec.parent is not None and step.unmet:
        limit = state.graph.steps[spec.parent].max_parallel
        return Reason(f"It waits for its turn: maxParallel lets {limit} elements be under way at once.", key)
    waited_for = [up for up in spec.depends_on if not state.steps[up].status.is_final]
    if waited_for:
        more = f" and {len(waited_for) - 5} more" if len(waited_for) > 5 else ""
        return Reason(f"It waits for {', '.join(waited_for[:5])}{more}.", key)
    return None  # free: why it does not start is told of the run
