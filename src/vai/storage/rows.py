"""The mapping between records and rows, once for both databases: tuples in the order of the columns named here."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vai.domain.events import Event, StepProgress, data_of
from vai.domain.state import EventWait, Fan, Result, RunError, StepError, StepState
from vai.domain.status import OnExpire, RunStatus, SkipReason, StepStatus
from vai.ports import ActionRunRecord, NewRun, RunChange, RunRecord, StepRecord, StepWrite

RUN = tuple(RunRecord.__struct_fields__)
NEW_RUN = (
    *(*RUN, "executing", "lease_owner", "idempotency_key", "idempotency_hash", "input", "payload"),
    *("concurrency_limit", "on_conflict", "queued_at"),
)
CHANGE = (
    *("status", "attempt", "started_at", "completed_at", "attempt_started_at", "cancel_requested_at"),
    *("stopping", "error", "updated_at", "due_at", "executing", "keeps_lease", "event_count"),
    *("run_id", "expected_version", "held_by"),
)
APPEND = ("event_count", "run_id", "held_by", "expected_attempt")
STEP_STATE = (
    *("run_id", "attempt", "key", "action_run_id", "status", "started_at", "completed_at"),
    *("result", "result_truncated", "artifact_id", "error", "tries", "interrupts", "losses"),
    *("next_attempt_at", "wake_at"),
    *("decision_id", "child_run_id", "skip_reason", "skipped_by", "elements", "elements_attempt", "awaits"),
)
STEP = (*STEP_STATE, "awaits_type", "looks_back", "tenant_id", "kind", "definition", "created_at", "updated_at")
STEP_READ = (*STEP_STATE, "definition", "progress")
EVENT_BODY = ("type", "attempt", "step_key", "occurred_at", "data")
EVENT = ("run_id", "seq", *EVENT_BODY)
ARTIFACT = (
    "id",
    "tenant_id",
    "run_id",
    "action_run_id",
    "kind",
    "size_bytes",
    "created_at",
    "content",
)
PROGRESS = ("progress", "updated_at", "run_id", "attempt", "key")

Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode
_run_error = msgspec.json.Decoder(RunError).decode
_step_error = msgspec.json.Decoder(StepError).decode
event_wait = msgspec.json.Decoder(EventWait).decode
from_json = msgspec.json.Decoder().decode


def to_json(value: Any) -> str:
    """`value` as JSON text."""
    return _encode(value).decode()


def json_or_none(text: str | None) -> Any:
    """The value of a JSON column that may be NULL."""
    return None if text is None else from_json(text)


# --- to rows ---------------------------------------------------------------------------------------------------


def new_run_row(new: NewRun) -> Row:
    """The row of a run to be accepted, in the order of `NEW_RUN`."""
    run = msgspec.structs.replace(new.record, event_seq=len(new.events))
    values = list(msgspec.structs.astuple(run))
    values[RUN.index("status")] = run.status.value
    values[RUN.index("error")] = to_json(run.error) if run.error else None
    return (
        *values,
        0,
        new.lease_owner,
        new.idempotency_key,
        new.idempotency_hash,
        to_json(new.input),
        to_json(new.payload),
        None if run.concurrency_key is None else new.concurrency_limit,
        None if run.concurrency_key is None else new.on_conflict,
        None if run.concurrency_key is None else run.created_at,
    )


def change_row(change: RunChange) -> Row:
    """What a change makes of its run's row, in the order of `CHANGE`."""
    state = change.state
    return (
        state.status.value,
        state.attempt,
        state.started_at,
        state.completed_at,
        state.attempt_started_at,
        state.cancel_requested_at,
        state.stopping,
        to_json(state.error) if state.error else None,
        change.now,
        change.due_at,
        state.executing,
        0 if change.release else 1,
        len(change.events),
        change.run_id,
        change.expected_version,
        change.lease_owner,
    )


def step_row(change: RunChange, write: StepWrite) -> Row:
    """A step's row, in the order of `STEP`."""
    state = write.state
    result = state.result
    return (
        change.run_id,
        state.attempt,
        state.key,
        state.action_run_id,
        state.status.value,
        state.started_at,
        state.completed_at,
        None if result is None else to_json(result.value),
        1 if result is not None and result.truncated else 0,
        None if result is None else result.artifact_id,
        None if state.error is None else to_json(state.error),
        state.tries,
        state.interrupts,
        state.losses,
        state.next_attempt_at,
        state.wake_at,
        state.decision_id,
        state.child_run_id,
        None if state.skip_reason is None else state.skip_reason.value,
        state.skipped_by,
        None if state.fan is None else to_json(state.fan.elements),
        None if state.fan is None else state.fan.attempt,
        None if state.awaits is None else to_json(state.awaits),
        None if state.awaits is None else state.awaits.event_type,
        None if state.awaits is None else 1,
        change.state.context.tenant_id,
        write.kind,
        None if write.definition is msgspec.UNSET else to_json(write.definition),
        change.now,
        change.now,
    )


def artifact_row(change: RunChange, write: StepWrite, content: str) -> Row:
    """The row that holds the whole of a step's result, in the order of `ARTIFACT`."""
    result = write.state.result
    if result is None or result.artifact_id is None:
        raise ValueError(f"The artifact of step {write.state.key!r} has no id in the step's result.")
    tenant_id = change.state.context.tenant_id
    size = len(content.encode())
    action_run_id = write.state.action_run_id or ""
    return (result.artifact_id, tenant_id, change.run_id, action_run_id, "json", size, change.now, content)


def event_bodies(events: Iterable[Event], attempt: int) -> list[Row]:
    """Events without run and number, which the commit gives them; in the order of `EVENT_BODY`."""
    return [(e.type, attempt, e.step_key, e.at, data_of(e).decode()) for e in events]


def progress_rows(run_id: str, attempt: int, events: Sequence[Event]) -> list[Row]:
    """The last progress of each step among `events`, in the order of `PROGRESS`."""
    last = {event.key: event for event in events if isinstance(event, StepProgress)}
    return [(to_json(event.progress), event.at, run_id, attempt, key) for key, event in last.items()]


# --- from rows -------------------------------------------------------------------------------------------------

_STATUS_AT, _ERROR_AT = RUN.index("status"), RUN.index("error")
_RUN_STATUS = {status.value: status for status in RunStatus}
_STEP_STATUS = {status.value: status for status in StepStatus}


def run_record(row: Sequence[Any]) -> RunRecord:
    """A run from the first columns of `row`, in the order of `RUN`."""
    values = list(row[: len(RUN)])
    values[_STATUS_AT] = _RUN_STATUS[values[_STATUS_AT]]
    if values[_ERROR_AT] is not None:
        values[_ERROR_AT] = _run_error(values[_ERROR_AT])
    return RunRecord(*values)


def step_record(row: Sequence[Any], whole: str | None = None, on_expire: str | None = None) -> StepRecord:
    """A step from a row in the order of `STEP_READ`; `whole` is the result's JSON where the row has a preview,
    `on_expire` what the expiry of its open decision means."""
    (run_id, attempt, key, action_run_id, status, started_at, completed_at, *rest) = row
    (text, truncated, artifact_id, error, tries, interrupts, losses, next_attempt_at, wake_at, *rest) = rest
    (decision_id, child_run_id, skip_reason, skipped_by, elements, elements_attempt, awaits, *rest) = rest
    definition, progress = rest
    result = None if text is None else Result(from_json(whole or text), bool(truncated), artifact_id)
    state = StepState(
        key=key,
        status=_STEP_STATUS[status],
        attempt=attempt,
        action_run_id=action_run_id,
        started_at=started_at,
        completed_at=completed_at,
        result=result,
        error=None if error is None else _step_error(error),
        tries=tries,
        interrupts=interrupts,
        losses=losses,
        next_attempt_at=next_attempt_at,
        wake_at=wake_at,
        decision_id=decision_id,
        on_expire=None if on_expire is None else OnExpire(on_expire),
        child_run_id=child_run_id,
        awaits=None if awaits is None else event_wait(awaits),
        skip_reason=None if skip_reason is None else SkipReason(skip_reason),
        skipped_by=skipped_by,
        fan=None if elements is None else Fan(from_json(elements), elements_attempt),
    )
    return StepRecord(run_id, state, json_or_none(definition), json_or_none(progress))


ACTION_RUN_EXTRA = (
    "kind",
    "tenant_id",
    "trigger_source_type",
    "trigger_source_id",
    "created_at",
    "updated_at",
)


def action_run_record(row: Sequence[Any]) -> ActionRunRecord:
    """An action run from a row in the order of `STEP_READ` and `ACTION_RUN_EXTRA`."""
    width = len(STEP_READ)
    return ActionRunRecord(step_record(row[:width]), *row[width:])
