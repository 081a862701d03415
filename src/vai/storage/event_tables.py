"""The table of the log of organizations, and what finds the steps that wait for an event of it."""

from sqlalchemy import Column, Index, Integer, Table, Text, text

from vai.storage.tables import HAS_IDEMPOTENCY_KEY, ID, INSTANT, JSON_TEXT, WORD, metadata, steps

# The log of an organization: what concerns it beyond one run. What a run's own events tell is copied by triggers.
tenant_events = Table(
    "tenant_events",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("resource_type", Text),
    Column("resource_id", Text),
    Column("actor_type", WORD, nullable=False),
    Column("actor_id", Text),
    Column("correlation_id", Text, nullable=False),
    Column("causation_id", Text),
    Column("occurred_at", INSTANT, nullable=False),
    Column("payload", JSON_TEXT, nullable=False),
    Column("idempotency_key", Text),
    Column("is_pending", Integer, nullable=False),  # 1: those that wait for it have not been told
    Index(None, "tenant_id", "id"),
    Index(None, "tenant_id", "event_type", "id"),
    Index(None, "tenant_id", "resource_id", "id"),
    Index(None, "tenant_id", "correlation_id", "id"),
    sqlite_with_rowid=False,
)

for _name, _unique, _columns, _only in (
    ("uq_tenant_events_idempotency_key", True, ("tenant_id", "idempotency_key"), HAS_IDEMPOTENCY_KEY),
    ("ix_tenant_events_pending", False, ("id",), text("is_pending = 1")),
):
    Index(
        _name,
        *(tenant_events.c[column] for column in _columns),
        unique=_unique,
        sqlite_where=_only,
        postgresql_where=_only,
    )

for _name, _of in {"awaits": ("tenant_id", "awaits_type"), "looks_back": ("looks_back",)}.items():
    _only = text(f"{_name} IS NOT NULL")
    Index(
        f"ix_steps_{_name}",
        *(steps.c[column] for column in (*_of, "run_id", "attempt", "key")),
        sqlite_where=_only,
        postgresql_where=_only,
    )
