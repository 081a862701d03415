"""A run's attempt as spans, told from its stored events: whoever ends the run can tell all of it, whoever drove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from vai.domain.ids import run_span_id, step_span_id, trace_id
from vai.domain.state import Instant
from vai.ports import StoredEvent
from vai.runs import Loaded

FINAL = frozenset({"run.completed", "run.failed", "run.cancelled"})
_ENDS = frozenset({"step.completed", "step.failed", "step.skipped", "step.cancelled"})
_NOT_TOLD = frozenset({"step.log", "step.progress", "step.started"})  # the first step.started is the span's begin


class Note(NamedTuple):
    """Something that happened within a span."""

    name: str
    at: Instant
    attributes: dict[str, Any]


class Span(NamedTuple):
    """A span, ids in hexadecimal. `error` says why it failed, or is None."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    begun_at: Instant
    ended_at: Instant
    attributes: dict[str, Any]
    notes: Sequence[Note]
    error: str | None


def is_sampled(loaded: Loaded) -> bool:
    """False when the caller's trace is not kept."""
    caller = loaded.state.context.traceparent
    return caller is None or bool(int(caller[53:55], 16) & 1)


def spans_of(loaded: Loaded, attempt: int, events: Sequence[StoredEvent]) -> list[Span]:
    """The spans of an attempt that is over: the run's, and one for each step that began. `events` are all of the
    run's, in their order; log lines and progress are left out."""
    own = [event for event in events if event.attempt == attempt]
    if not own:
        return []
    by_step: dict[str, list[StoredEvent]] = {}
    for event in own:
        if event.step_key is not None:
            by_step.setdefault(event.step_key, []).append(event)
    ended_at = next((event.occurred_at for event in reversed(own) if event.type in FINAL), own[-1].occurred_at)
    run = _run_span(loaded, attempt, own, ended_at)
    steps = (_step_span(loaded, run, key, found) for key, found in by_step.items())
    return [run, *(span for span in steps if span is not None)]


def _run_span(loaded: Loaded, attempt: int, own: Sequence[StoredEvent], ended_at: Instant) -> Span:
    state, record = loaded.state, loaded.record
    caller = state.context.traceparent
    final = next((event for event in reversed(own) if event.type in FINAL), own[-1])
    attributes = {
        "vai.run.id": state.id,
        "vai.run.attempt": attempt,
        "vai.run.status": final.type.removeprefix("run."),
        "vai.run.trigger": record.trigger_type,
        "vai.tenant.id": record.tenant_id,
        "vai.automation.id": record.automation_id,
        "vai.automation.version": record.version_number,
    }
    return Span(
        name="run",
        trace_id=trace_id(state.id, caller),
        span_id=run_span_id(state.id, attempt),
        parent_id=None if caller is None else caller[36:52],
        begun_at=own[0].occurred_at,
        ended_at=ended_at,
        attributes=attributes,
        notes=[_note(event) for event in own if event.step_key is None and event.type not in FINAL],
        error=_message(final) if final.type == "run.failed" else None,
    )


def _step_span(loaded: Loaded, run: Span, key: str, found: Sequence[StoredEvent]) -> Span | None:
    starts = [event for event in found if event.type == "step.started"]
    if not starts:
        return None  # skipped, or cancelled before it began
    begun = starts[0]
    last = next((event for event in reversed(found) if event.type in _ENDS), None)
    spec = loaded.state.graph.steps.get(key)
    attributes = {
        "vai.run.id": loaded.state.id,
        "vai.step.key": key,
        "vai.step.kind": spec.kind if spec is not None else "",
        "vai.step.status": last.type.removeprefix("step.") if last is not None else "running",
        "vai.step.tries": len(starts),
    }
    notes = [_note(event) for event in found if event.type not in _NOT_TOLD and event is not last]
    notes += [Note("step.started", event.occurred_at, _told(event)) for event in starts[1:]]
    return Span(
        name=key,
        trace_id=run.trace_id,
        span_id=step_span_id(loaded.state.id, key, begun.attempt),
        parent_id=run.span_id,
        begun_at=begun.occurred_at,
        ended_at=last.occurred_at if last is not None else run.ended_at,
        attributes=attributes,
        notes=sorted(notes, key=lambda note: note.at),
        error=_message(last) if last is not None and last.type == "step.failed" else None,
    )


def _note(event: StoredEvent) -> Note:
    return Note(event.type, event.occurred_at, _told(event))


def _told(event: StoredEvent) -> dict[str, Any]:
    """What attributes can hold of an event's data, and of its error."""
    data = msgspec.json.decode(event.data)
    error = data.get("error") or {}
    plain = {name: value for name, value in data.items() if isinstance(value, str | int | float | bool)}
    return {**plain, **({"error.type": error.get("type", "")} if error else {})}


def _message(event: StoredEvent) -> str:
    error = msgspec.json.decode(event.data).get("error") or {}
    return f"{error.get('type', 'failed')}: {error.get('message', '')}"
