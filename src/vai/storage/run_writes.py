"""The statements that change runs, described once: each database only says where the values come from."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Update
from sqlalchemy.types import TypeEngine

from vai.storage import rows
from vai.storage.tables import HAS_IDEMPOTENCY_KEY, automation_runs, steps

Source = Callable[[str], ColumnElement[Any]]
"""Where the value of a name comes from: a parameter, or a column of many rows handed over at once."""

_EXTRA_TYPES: dict[str, TypeEngine[Any]] = {
    "keeps_lease": Integer(),
    "event_count": Integer(),
    "run_id": Text(),
    "expected_version": BigInteger(),
    "held_by": Text(),
    "expected_attempt": Integer(),
    "n": Integer(),
    "i": Integer(),
    "seq": BigInteger(),
    "content": Text(),
}


def type_of(name: str) -> TypeEngine[Any]:
    """The type of a value by its name in `rows`."""
    return _EXTRA_TYPES[name] if name in _EXTRA_TYPES else automation_runs.c[name].type


def parameter(name: str) -> ColumnElement[Any]:
    """The value as a parameter of the statement."""
    return bindparam(name, type_=type_of(name))


_KEPT_AS_GIVEN = (
    *("status", "attempt", "started_at", "completed_at", "attempt_started_at", "cancel_requested_at"),
    *("stopping", "error", "updated_at", "due_at", "executing"),
)


def change_run(source: Source) -> Update:
    """A change of a run's row, if its version is the expected one and `held_by` (unless null) still holds it.
    The values' order is `rows.CHANGE`."""
    run = automation_runs.c
    values: list[tuple[Any, Any]] = [(run[name], source(name)) for name in _KEPT_AS_GIVEN]
    values.append(
        (run.lease_owner, case((source("keeps_lease") == literal_column("1"), run.lease_owner), else_=null()))
    )
    values.append((run.event_seq, run.event_seq + source("event_count")))
    values.append((run.version, run.version + literal_column("1")))
    return (
        update(automation_runs)
        .ordered_values(*values)
        .where(
            and_(
                run.id == source("run_id"),
                run.version == source("expected_version"),
                run.lease_owner.is_not_distinct_from(func.coalesce(source("held_by"), run.lease_owner)),
            )
        )
    )


def append_to_run(source: Source) -> Update:
    """Room for events that change no state, if `held_by` (null: no engine) holds the run in this attempt and it is
    not final. Order: `rows.APPEND`."""
    run = automation_runs.c
    return (
        update(automation_runs)
        .ordered_values((run.event_seq, run.event_seq + source("event_count")))
        .where(
            and_(
                run.id == source("run_id"),
                run.lease_owner.is_not_distinct_from(source("held_by")),
                run.attempt == source("expected_attempt"),
                run.completed_at.is_(None),
            )
        )
    )


def or_known(insert: Any) -> Any:
    """`insert` of runs that does nothing where the automation has seen the idempotency key."""
    run = automation_runs.c
    return insert.on_conflict_do_nothing(
        index_elements=[run.tenant_id, run.automation_id, run.idempotency_key],
        index_where=HAS_IDEMPOTENCY_KEY,
    )


def holder(source: Source) -> Select[Any]:
    """The first run of a tenant's concurrency key that is under way, or null."""
    return select(func.min(automation_runs.c.id)).where(_is_under_way(source))


def admitted(source: Source) -> Select[Any]:
    """The runs of a tenant's concurrency key that may begin and have not."""
    run = automation_runs.c
    return select(run.id).where(
        _is_under_way(source), run.status == literal_column("'pending'"), run.lease_owner.is_(None)
    )


def _is_under_way(source: Source) -> ColumnElement[bool]:
    run = automation_runs.c
    of_key = and_(run.tenant_id == source("tenant_id"), run.concurrency_key == source("concurrency_key"))
    return and_(of_key, run.completed_at.is_(None), run.is_queued == literal_column("0"))


def or_replace_step(insert: Any) -> Any:
    """`insert` of steps that replaces the row of the same run, attempt and key, but for what stays."""
    stays = {*("run_id", "attempt", "key", "tenant_id", "created_at"), "definition"}
    changed = {name: insert.excluded[name] for name in rows.STEP if name not in stays}
    changed["definition"] = func.coalesce(insert.excluded.definition, steps.c.definition)
    return insert.on_conflict_do_update(index_elements=[steps.c.run_id, steps.c.attempt, steps.c.key], set_=changed)
