"""What removing old runs needs: the runs whose events are still to go, and indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0008_0001"
down_revision = "0007_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the indexes."""
    op.create_table(
        "removed_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_removed_runs")),
    )
    for name, columns, where in (
        ("ix_automation_runs_final", ["tenant_id", "status", "completed_at", "id"], "completed_at IS NOT NULL"),
        ("ix_automation_runs_parent_run_id", ["parent_run_id"], "parent_run_id IS NOT NULL"),
    ):
        op.create_index(name, "automation_runs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
