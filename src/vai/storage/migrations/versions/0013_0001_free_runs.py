"""Indexes of the runs that nobody holds: what may be taken up at once, and what waits for a time."""

import sqlalchemy as sa
from alembic import op

revision = "0013_0001"
down_revision = "0012_0001"
branch_labels = None
depends_on = None

_FREE = "completed_at IS NULL AND lease_owner IS NULL"
_AT_ONCE = f"{_FREE} AND (status = 'pending' AND is_queued = 0 OR cancel_requested_at IS NOT NULL OR executing > 0)"
_DUE = f"{_FREE} AND due_at IS NOT NULL"


def upgrade() -> None:
    """Add both."""
    for name, columns, only in (("at_once", ["id"], _AT_ONCE), ("due", ["due_at", "id"], _DUE)):
        where = sa.text(only)
        op.create_index(
            f"ix_automation_runs_{name}", "automation_runs", columns, sqlite_where=where, postgresql_where=where
        )
