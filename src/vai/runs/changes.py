"""What a transition writes, whoever makes it: the run's rows, and its events with large results put aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from vai.definition import resolve
from vai.domain import events as e
from vai.domain.decide import Transition
from vai.domain.graph import ExpressionFailed
from vai.domain.state import Instant, RunState
from vai.ports import RunChange, StepWrite
from vai.runs.previews import artifact_of, preview_of, stored_event


class Hold(NamedTuple):
    """What guards a change: the engine that holds the run (None: whoever does), the run's version that is known,
    and whether the run is let go."""

    owner: str | None
    version: int
    release: bool
    kept: frozenset[str] = frozenset()  # artifacts that are stored already


def change_of(decided: Transition, lines: Sequence[e.Event], hold: Hold, now: Instant) -> RunChange:
    """The change that a transition is; the `lines` that the run's actions told meanwhile go before its events."""
    state = decided.state
    return RunChange(
        run_id=state.id,
        expected_version=hold.version,
        state=state,
        events=[*lines, *map(stored_event, decided.events)],
        steps=_step_writes(decided, hold.kept),
        now=now,
        due_at=state.due_at(),
        lease_owner=hold.owner,
        release=hold.release,
    )


def resolved(state: RunState, key: str) -> Any:
    """The step's definition with its expressions evaluated, or the ExpressionFailed that says why not."""
    try:
        return resolve(state.graph.steps[key], state)
    except ExpressionFailed as failure:
        return failure


def _step_writes(decided: Transition, kept: frozenset[str]) -> list[StepWrite]:
    state = decided.state
    keys = dict.fromkeys(event.step_key for event in decided.events if event.step_key is not None)
    for event in decided.events:
        if isinstance(event, e.RunRetried):
            keys.update(dict.fromkeys(event.rerun))
    started = {event.key for event in decided.events if isinstance(event, e.StepStarted)}
    return [_step_write(state, key, key in started, kept) for key in keys]


def _step_write(state: RunState, key: str, started: bool, kept: frozenset[str]) -> StepWrite:
    step, spec = state.steps[key], state.graph.steps[key]
    definition = resolved(state, key) if started else msgspec.UNSET
    if isinstance(definition, ExpressionFailed):
        definition = None
    if step.result is None or not step.result.truncated:
        return StepWrite(step, spec.kind, definition)
    # The state keeps the whole result for expressions; the row has a preview, the artifact everything.
    row = msgspec.structs.replace(step, result=preview_of(step.result))
    is_kept = step.result.artifact_id in kept
    return StepWrite(row, spec.kind, definition, None if is_kept else artifact_of(step.result))
