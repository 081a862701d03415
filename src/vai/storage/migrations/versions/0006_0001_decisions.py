"""What people are asked, and what they answered."""

import sqlalchemy as sa
from alembic import op

revision = "0006_0001"
down_revision = "0005_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table with its indexes."""
    text, instant = sa.Text(), sa.BigInteger()
    op.create_table(
        "decisions",
        sa.Column("id", text, nullable=False),
        sa.Column("tenant_id", text, nullable=False),
        sa.Column("run_id", text, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step_key", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("title", text, nullable=False),
        sa.Column("message", text),
        sa.Column("fields_schema", text),
        sa.Column("assignees", text, nullable=False),
        sa.Column("allow_self_approval", sa.Integer(), nullable=False),
        sa.Column("status", text, nullable=False),
        sa.Column("expires_at", instant),
        sa.Column("on_expire", text),
        sa.Column("decided_by", text),
        sa.Column("decided_by_name", text),
        sa.Column("decided_at", instant),
        sa.Column("reason", text),
        sa.Column("fields", text),
        sa.Column("created_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_tenant_id_id"), "decisions", ["tenant_id", "id"])
    op.create_index(op.f("ix_decisions_tenant_id_status_id"), "decisions", ["tenant_id", "status", "id"])
    op.create_index(op.f("ix_decisions_run_id"), "decisions", ["run_id"])
