"""The writer's statements for PostgreSQL: each takes many changes as one JSON parameter a table, and guards them
itself, so that a refused change writes none of its rows."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, Text, bindparam, cast, column, func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.selectable import CTE, NamedFromClause
from sqlalchemy.types import TypeEngine

from vai.storage import rows
from vai.storage.decision_rows import CLOSING, DECISION
from vai.storage.decisions import close_decision
from vai.storage.rows import Row
from vai.storage.run_writes import append_to_run, change_run, holder, or_known, or_replace_step, type_of
from vai.storage.statements import Statement
from vai.storage.tables import artifacts, automation_runs, decisions, events, steps

RUN_ROW = ("n", *rows.NEW_RUN)
CHANGE_ROW = ("n", *rows.CHANGE)
APPEND_ROW = ("n", *rows.APPEND)
EVENT_ROW = ("n", "i", *rows.EVENT_BODY)
STEP_ROW = ("n", *rows.STEP)
ARTIFACT_ROW = ("n", *rows.ARTIFACT)
PROGRESS_ROW = ("n", *rows.PROGRESS)
OPENED_ROW = ("n", *DECISION)
CLOSED_ROW = ("n", *CLOSING)

_encode = msgspec.json.Encoder().encode


def as_json(names: Sequence[str], values: Iterable[Row]) -> str:
    """Rows as the JSON array of objects that a statement here takes."""
    return _encode([dict(zip(names, row, strict=True)) for row in values]).decode()


class BatchStatements:
    """Statements as text, with the names of their JSON parameters in order."""

    def __init__(self, dialect: Dialect) -> None:
        self.create = Statement(_create(), dialect)
        self.known = Statement(_known(), dialect)
        self.holder = Statement(holder(bindparam), dialect)
        self.change = Statement(_change(), dialect)
        self.change_and_decisions = Statement(_change(_decision_changes), dialect)
        self.append = Statement(_append(), dialect)


def _recordset(name: str, names: Sequence[str], table: Any = automation_runs) -> NamedFromClause:
    """The JSON parameter `name` as rows."""

    def typed(column_name: str) -> TypeEngine[Any]:
        known: TypeEngine[Any] | None = table.c[column_name].type if column_name in table.c else None
        return type_of(column_name) if known is None else known

    values = cast(bindparam(name, type_=Text()), JSON)
    columns = [column(column_name, typed(column_name)) for column_name in names]
    return func.json_to_recordset(values).table_valued(*columns).render_derived(name, with_types=True)


def _new_events(landed: CTE) -> CTE:
    given = _recordset("event_rows", EVENT_ROW, events)
    number = landed.c.event_seq - landed.c.event_count + given.c.i
    body = [given.c[name] for name in rows.EVENT_BODY]
    chosen = select(landed.c.run_id, number, *body).join(landed, landed.c.n == given.c.n)
    return insert(events).from_select(list(rows.EVENT), chosen).cte("new_events")


def _create() -> ClauseElement:
    given = _recordset("run_rows", RUN_ROW)
    new = select(*[given.c[name] for name in rows.NEW_RUN])
    run = automation_runs.c
    created = or_known(postgresql.insert(automation_runs).from_select(list(rows.NEW_RUN), new))
    created = created.returning(run.id, run.event_seq).cte("created")
    landed = (
        select(given.c.n, created.c.id.label("run_id"), created.c.event_seq)
        .add_columns(created.c.event_seq.label("event_count"))
        .join(created, created.c.id == given.c.id)
        .cte("landed")
    )
    return select(landed.c.n).add_cte(_new_events(landed))


def _known() -> ClauseElement:
    run = automation_runs.c
    return select(*[run[name] for name in rows.RUN], run.idempotency_hash).where(
        run.tenant_id == bindparam("tenant_id"),
        run.automation_id == bindparam("automation_id"),
        run.idempotency_key == bindparam("key"),
    )


def _change(*more: Callable[[CTE], Iterable[CTE]]) -> ClauseElement:
    given = _recordset("change_rows", CHANGE_ROW)
    landed = _landed(change_run(lambda name: given.c[name]), given)
    new_steps = _recordset("step_rows", STEP_ROW, steps)
    step_values = select(*[new_steps.c[name] for name in rows.STEP])
    step_values = step_values.join(landed, landed.c.n == new_steps.c.n)
    upsert = or_replace_step(postgresql.insert(steps).from_select(list(rows.STEP), step_values))
    new_artifacts = _recordset("artifact_rows", ARTIFACT_ROW, artifacts)
    artifact_values = select(*[new_artifacts.c[name] for name in rows.ARTIFACT])
    artifact_values = artifact_values.join(landed, landed.c.n == new_artifacts.c.n)
    stored = insert(artifacts).from_select(list(rows.ARTIFACT), artifact_values)
    return select(landed.c.n, landed.c.version, landed.c.event_seq).add_cte(
        _new_events(landed),
        upsert.cte("new_steps"),
        stored.cte("new_artifacts"),
        *(cte for part in more for cte in part(landed)),
    )


def _decision_changes(landed: CTE) -> list[CTE]:
    """Apart, so that the many changes without decisions do not pay for them."""
    given = _recordset("opened_rows", OPENED_ROW, decisions)
    opened = select(*[given.c[name] for name in DECISION]).join(landed, landed.c.n == given.c.n)
    told = _recordset("closed_rows", CLOSED_ROW, decisions)
    closed = close_decision(lambda name: told.c[name]).where(told.c.n == landed.c.n)
    new = insert(decisions).from_select(list(DECISION), opened)
    return [new.cte("new_decisions"), closed.cte("closed_decisions")]


def _append() -> ClauseElement:
    given = _recordset("append_rows", APPEND_ROW)
    landed = _landed(append_to_run(lambda name: given.c[name]), given)
    told = _recordset("progress_rows", PROGRESS_ROW, steps)
    progress = (
        update(steps)
        .values(progress=told.c.progress, updated_at=told.c.updated_at)
        .where(
            told.c.n == landed.c.n,
            steps.c.run_id == told.c.run_id,
            steps.c.attempt == told.c.attempt,
            steps.c.key == told.c.key,
        )
    )
    return select(landed.c.n, landed.c.version, landed.c.event_seq).add_cte(
        _new_events(landed), progress.cte("new_progress")
    )


def _landed(guarded: Any, given: NamedFromClause) -> CTE:
    run = automation_runs.c
    returned = (given.c.n, run.id.label("run_id"), run.version, run.event_seq, given.c.event_count)
    landed: CTE = guarded.returning(*returned).cte("landed")
    return landed
