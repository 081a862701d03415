"""The table of triggers."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from vai.storage.tables import ID, INSTANT, JSON_TEXT, WORD, metadata

# What starts runs besides people: of the active version of each automation, written with it.
triggers = Table(
    "triggers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("automation_id", ID, ForeignKey("automations.id"), nullable=False),
    Column("version_id", ID, nullable=False),
    Column("key", Text, nullable=False),
    Column("type", WORD, nullable=False),
    Column("config", JSON_TEXT, nullable=False),
    Column("address", Text),
    Column("is_paused", Integer, nullable=False),
    Column("next_due_at", INSTANT),
    Column("last_due_at", INSTANT),
    Column("last_run_id", ID),
    Column("last_error", Text),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    UniqueConstraint("automation_id", "key"),
)

# Nobody else in the organization may be called by it.
IS_WEBHOOK = text("type = 'webhook'")
Index(
    "uq_triggers_tenant_id_address",
    triggers.c.tenant_id,
    triggers.c.address,
    unique=True,
    sqlite_where=IS_WEBHOOK,
    postgresql_where=IS_WEBHOOK,
)
IS_CALLED = text("address IS NOT NULL")
Index(
    "ix_triggers_address",
    triggers.c.tenant_id,
    triggers.c.type,
    triggers.c.address,
    sqlite_where=IS_CALLED,
    postgresql_where=IS_CALLED,
)

TO_BE_DUE = text("next_due_at IS NOT NULL AND is_paused = 0")
Index("ix_triggers_due", triggers.c.next_due_at, triggers.c.id, sqlite_where=TO_BE_DUE, postgresql_where=TO_BE_DUE)
