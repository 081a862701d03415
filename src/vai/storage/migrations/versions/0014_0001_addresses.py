"""What triggers are called by: the paths of webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0014_0001"
down_revision = "0013_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column with its indexes."""
    op.add_column("triggers", sa.Column("address", sa.Text()))
    webhook, called = sa.text("type = 'webhook'"), sa.text("address IS NOT NULL")
    op.create_index(
        "uq_triggers_tenant_id_address",
        "triggers",
        ["tenant_id", "address"],
        unique=True,
        sqlite_where=webhook,
        postgresql_where=webhook,
    )
    op.create_index(
        "ix_triggers_address",
        "triggers",
        ["tenant_id", "type", "address"],
        sqlite_where=called,
        postgresql_where=called,
    )
