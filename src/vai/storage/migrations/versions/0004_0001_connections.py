"""Connections, and the data keys that their credentials are sealed under."""

import sqlalchemy as sa
from alembic import op

revision = "0004_0001"
down_revision = "0003_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "connections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text()),
        sa.Column("credential_fields", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("verification_error", sa.Text()),
        sa.Column("last_verified_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.ForeignKeyConstraint(["tenant_id"], ["organizations.id"], name="fk_connections_tenant_id"),
        sa.UniqueConstraint("tenant_id", "slug", name="uq_connections_tenant_id_slug"),
        sa.CheckConstraint("status IN ('needs_verification', 'active', 'error')", name="ck_connections_status"),
    )
    op.create_index("ix_connections_tenant_id_id", "connections", ["tenant_id", "id"])
    op.create_table(
        "data_keys",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("master_key", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_data_keys"),
        sa.ForeignKeyConstraint(["tenant_id"], ["organizations.id"], name="fk_data_keys_tenant_id"),
    )
