"""The log of an organization, and steps that wait for an event of it."""

import sqlalchemy as sa
from alembic import op

from vai.storage.migrations.tenant_events import create_tenant_events

revision = "0011_0001"
down_revision = "0010_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table with its trigger, and the columns with their indexes."""
    op.create_table(
        "tenant_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text()),
        sa.Column("resource_id", sa.Text()),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text()),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("causation_id", sa.Text()),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("is_pending", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_events"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tenant_events_tenant_id_id", "tenant_events", ["tenant_id", "id"])
    for column in ("event_type", "resource_id", "correlation_id"):
        op.create_index(f"ix_tenant_events_tenant_id_{column}_id", "tenant_events", ["tenant_id", column, "id"])
    _create_partial("uq_tenant_events_idempotency_key", "tenant_events", ("tenant_id", "idempotency_key"), unique=True)
    _create_partial("ix_tenant_events_pending", "tenant_events", ("id",), "is_pending = 1")
    for name, kind in (("awaits", sa.Text()), ("awaits_type", sa.Text()), ("looks_back", sa.Integer())):
        op.add_column("steps", sa.Column(name, kind))
    of_step = ("run_id", "attempt", "key")
    _create_partial("ix_steps_awaits", "steps", ("tenant_id", "awaits_type", *of_step), "awaits IS NOT NULL")
    _create_partial("ix_steps_looks_back", "steps", ("looks_back", *of_step), "looks_back IS NOT NULL")
    create_tenant_events()


def _create_partial(
    name: str, table: str, columns: tuple[str, ...], only: str = "idempotency_key IS NOT NULL", *, unique: bool = False
) -> None:
    where = sa.text(only)
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=where, postgresql_where=where)
