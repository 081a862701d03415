"""Runs that nobody holds: those that may be taken up at once, and those that wait for a time, with an index for each.

SQLite still prefers the index of all live runs, and so reads every one that waits (docs/performance.md).
"""

from sqlalchemy import Index, and_, literal_column, or_, text
from sqlalchemy.sql import ColumnElement

from vai.storage.tables import automation_runs

_run = automation_runs.c
_ZERO: ColumnElement[int] = literal_column("0")

IS_FREE: ColumnElement[bool] = and_(_run.completed_at.is_(None), _run.lease_owner.is_(None))
AT_ONCE: ColumnElement[bool] = or_(
    and_(_run.status == literal_column("'pending'"), _run.is_queued == _ZERO),  # not held back by its key
    _run.cancel_requested_at.is_not(None),
    _run.executing > _ZERO,
)

_FREE = "completed_at IS NULL AND lease_owner IS NULL"
_FREE_AT_ONCE = text(
    f"{_FREE} AND (status = 'pending' AND is_queued = 0 OR cancel_requested_at IS NOT NULL OR executing > 0)"
)
_FREE_AND_DUE = text(f"{_FREE} AND due_at IS NOT NULL")
Index("ix_automation_runs_at_once", _run.id, sqlite_where=_FREE_AT_ONCE, postgresql_where=_FREE_AT_ONCE)
Index("ix_automation_runs_due", _run.due_at, _run.id, sqlite_where=_FREE_AND_DUE, postgresql_where=_FREE_AND_DUE)
