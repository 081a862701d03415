"""Runs that steps of other runs wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0005_0001"
down_revision = "0004_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a child keeps of its parent."""
    op.add_column("automation_runs", sa.Column("parent_run_id", sa.Text()))
    op.add_column("automation_runs", sa.Column("parent_step_key", sa.Text()))
    op.add_column("automation_runs", sa.Column("parent_attempt", sa.Integer()))
    op.add_column("automation_runs", sa.Column("parent_told", sa.Integer(), nullable=False, server_default="0"))
    to_tell = sa.text("parent_run_id IS NOT NULL AND parent_told = 0")
    op.create_index(
        "ix_automation_runs_children",
        "automation_runs",
        ["completed_at", "id"],
        sqlite_where=to_tell,
        postgresql_where=to_tell,
    )
