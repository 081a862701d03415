"""What starts runs besides people."""

import sqlalchemy as sa
from alembic import op

revision = "0009_0001"
down_revision = "0008_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table with its index."""
    text, instant = sa.Text(), sa.BigInteger()
    op.create_table(
        "triggers",
        sa.Column("id", text, nullable=False),
        sa.Column("tenant_id", text, nullable=False),
        sa.Column("automation_id", text, nullable=False),
        sa.Column("version_id", text, nullable=False),
        sa.Column("key", text, nullable=False),
        sa.Column("type", text, nullable=False),
        sa.Column("config", text, nullable=False),
        sa.Column("is_paused", sa.Integer(), nullable=False),
        sa.Column("next_due_at", instant),
        sa.Column("last_due_at", instant),
        sa.Column("last_run_id", text),
        sa.Column("last_error", text),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_triggers"),
        sa.ForeignKeyConstraint(["automation_id"], ["automations.id"], name="fk_triggers_automation_id"),
        sa.UniqueConstraint("automation_id", "key", name="uq_triggers_automation_id_key"),
    )
    to_be_due = sa.text("next_due_at IS NOT NULL AND is_paused = 0")
    op.create_index(
        "ix_triggers_due", "triggers", ["next_due_at", "id"], sqlite_where=to_be_due, postgresql_where=to_be_due
    )
