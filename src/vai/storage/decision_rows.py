"""Decisions as rows: opened and closed by the events of a run's change."""

from collections.abc import Sequence
from typing import Any

from vai.domain import events as e
from vai.domain.status import DecisionKind, DecisionStatus, OnExpire
from vai.ports import DecisionRecord, RunChange
from vai.storage.rows import Row, json_or_none, to_json

DECISION = tuple(DecisionRecord.__struct_fields__)
CLOSING = ("status", "decided_by", "decided_by_name", "decided_at", "reason", "fields", "id")

_AT = {name: DECISION.index(name) for name in DECISION}


def decision_rows(change: RunChange) -> tuple[list[Row], list[Row]]:
    """What the change does to decisions: those it opens, in the order of `DECISION`, and those of earlier changes
    that it closes, in the order of `CLOSING`."""
    opened: dict[str, list[Any]] = {}
    closed: dict[str, Row] = {}
    for event in change.events:
        if isinstance(event, e.StepAwaitingApproval):
            opened[event.decision_id] = _opened(change, event)
        elif isinstance(event, e.StepDecided | e.StepCancelled) and (closing := _closing(change, event)):
            closed.setdefault(closing[-1], closing)
    for decision_id in opened.keys() & closed.keys():
        for name, value in zip(CLOSING, closed.pop(decision_id), strict=True):
            opened[decision_id][_AT[name]] = value
    return [tuple(row) for row in opened.values()], list(closed.values())


def _opened(change: RunChange, event: e.StepAwaitingApproval) -> list[Any]:
    question, state = event.question, change.state
    place = (event.decision_id, state.context.tenant_id, state.id, state.attempt, event.key)
    return [
        *(*place, question.kind.value, question.title, question.message),
        None if question.fields is None else to_json(question.fields),
        *(to_json(question.assignees), int(question.allow_self_approval), DecisionStatus.PENDING.value),
        *(question.expires_at, None if question.expires_at is None else question.on_expire.value),
        *(None, None, None, None, None, event.at),
    ]


def _closing(change: RunChange, event: e.StepDecided | e.StepCancelled) -> Row | None:
    if isinstance(event, e.StepDecided):
        fields = to_json(event.fields) if event.fields else None
        return (event.outcome.value, event.by, event.by_name, event.at, event.reason, fields, event.decision_id)
    # One that was decided before stays as it is: only a pending row is closed.
    decision_id = change.state.steps[event.key].decision_id
    if decision_id is None:
        return None
    return (DecisionStatus.WITHDRAWN.value, None, None, event.at, None, None, decision_id)


def decision_record(row: Sequence[Any]) -> DecisionRecord:
    """A decision from a row in the order of `DECISION`."""
    values = dict(zip(DECISION, row, strict=True))
    values["kind"] = DecisionKind(values["kind"])
    values["status"] = DecisionStatus(values["status"])
    values["on_expire"] = None if values["on_expire"] is None else OnExpire(values["on_expire"])
    values["allow_self_approval"] = bool(values["allow_self_approval"])
    for name in ("fields_schema", "assignees", "fields"):
        values[name] = json_or_none(values[name])
    return DecisionRecord(**values)
