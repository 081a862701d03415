"""Concurrency keys: what a run asks for, whether it is held back, and the triggers that decide it."""

import sqlalchemy as sa
from alembic import op

from vai.storage.migrations.concurrency import create_concurrency

revision = "0003_0001"
down_revision = "0002_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, their index and the triggers."""
    op.add_column("automation_runs", sa.Column("concurrency_limit", sa.Integer()))
    op.add_column("automation_runs", sa.Column("on_conflict", sa.Text()))
    op.add_column("automation_runs", sa.Column("queued_at", sa.BigInteger()))
    op.add_column("automation_runs", sa.Column("is_queued", sa.Integer(), nullable=False, server_default="0"))
    # Runs from before had keys that held nothing back.
    op.execute(
        "UPDATE automation_runs SET concurrency_limit = 1, on_conflict = 'queue', queued_at = created_at"
        " WHERE concurrency_key IS NOT NULL"
    )
    live = sa.text("completed_at IS NULL AND concurrency_key IS NOT NULL")
    op.create_index(
        "ix_automation_runs_concurrency_key",
        "automation_runs",
        ["tenant_id", "concurrency_key", "is_queued", "queued_at", "id"],
        sqlite_where=live,
        postgresql_where=live,
    )
    create_concurrency()
