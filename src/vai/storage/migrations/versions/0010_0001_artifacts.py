"""Indexes for lists of artifacts."""

from alembic import op

revision = "0010_0001"
down_revision = "0009_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index(op.f("ix_artifacts_tenant_id_id"), "artifacts", ["tenant_id", "id"])
    op.create_index(op.f("ix_artifacts_tenant_id_action_run_id_id"), "artifacts", ["tenant_id", "action_run_id", "id"])
