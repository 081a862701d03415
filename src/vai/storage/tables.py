"""The tables, once for both databases. Columns carry the API's words; times are milliseconds, JSON is text."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = Text()
WORD = Text()
INSTANT = BigInteger()
JSON_TEXT = Text()

FINAL = "('completed', 'failed', 'cancelled')"
LIVE = text("completed_at IS NULL")

organizations = Table(
    "organizations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("created_at", INSTANT, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("role", WORD, nullable=False),
    Column("kind", WORD, nullable=False),
    Column("parent_id", ID),
    Column("expires_at", INSTANT),
    Column("created_at", INSTANT, nullable=False),
    Column("last_used_at", INSTANT),
    Column("revoked_at", INSTANT),
)

automations = Table(
    "automations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text),
    Column("status", WORD, nullable=False),
    Column("trigger_type", WORD, nullable=False),
    Column("orchestrator_type", WORD, nullable=False),
    Column("template_id", Text),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("status IN ('draft', 'active', 'archived')", name="status"),
)

automation_versions = Table(
    "automation_versions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("automation_id", ID, ForeignKey("automations.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", WORD, nullable=False),
    Column("config", JSON_TEXT, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Column("published_at", INSTANT),
    UniqueConstraint("automation_id", "number"),
    CheckConstraint("status IN ('draft', 'active', 'archived')", name="status"),
)

for _status in ("draft", "active"):
    _only = text(f"status = '{_status}'")
    Index(
        f"uq_automation_versions_one_{_status}",
        automation_versions.c.automation_id,
        unique=True,
        sqlite_where=_only,
        postgresql_where=_only,
    )

automation_runs = Table(
    "automation_runs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("automation_id", ID, ForeignKey("automations.id"), nullable=False),
    Column("automation_version_id", ID, ForeignKey("automation_versions.id"), nullable=False),
    Column("version_number", Integer, nullable=False),
    Column("status", WORD, nullable=False),
    Column("orchestrator_type", WORD, nullable=False),
    Column("trigger_type", WORD, nullable=False),
    Column("trigger_source_type", WORD, nullable=False),
    Column("trigger_source_id", Text),
    Column("concurrency_key", Text),
    Column("external_job_id", Text),
    Column("error", JSON_TEXT),
    Column("attempt", Integer, nullable=False),
    Column("cancel_requested_at", INSTANT),
    Column("created_at", INSTANT, nullable=False),
    Column("started_at", INSTANT),
    Column("completed_at", INSTANT),
    Column("updated_at", INSTANT, nullable=False),
    Column("version", BigInteger, nullable=False),  # guards changes of state
    Column("event_seq", BigInteger, nullable=False),  # number of the last event
    Column("parent_run_id", ID),  # the run whose step waits for this one
    Column("parent_step_key", Text),
    Column("parent_attempt", Integer),
    Column("attempt_started_at", INSTANT),
    Column("stopping", WORD),
    Column("due_at", INSTANT),
    Column("executing", Integer, nullable=False),  # steps whose action was at work at the last commit
    Column("lease_owner", ID),
    Column("idempotency_key", Text),
    Column("idempotency_hash", Text),
    Column("input", JSON_TEXT, nullable=False),
    Column("payload", JSON_TEXT, nullable=False),
    Column("concurrency_limit", Integer),  # how many runs of its key may be under way; with every key
    Column("on_conflict", WORD),  # queue | cancel_running | skip
    Column("queued_at", INSTANT),  # its place in the order of its key
    Column("is_queued", Integer, nullable=False, server_default="0"),  # 1: held back by its key, see migrations
    Column("parent_told", Integer, nullable=False, server_default="0"),  # 1: of its end, or there is nothing to tell
    CheckConstraint(f"(status IN {FINAL}) = (completed_at IS NOT NULL)", name="completed_when_final"),
    # Ids are UUIDv7: their order is the order of creation, so "newest first" is an index read backwards.
    Index(None, "tenant_id", "id"),
    Index(None, "tenant_id", "status", "id"),
    Index(None, "tenant_id", "automation_id", "id"),
    Index("ix_automation_runs_automation_version_id", "automation_version_id"),
    # What engines look through: few rows beside all the final ones.
    Index("ix_automation_runs_live", "lease_owner", "id", sqlite_where=LIVE, postgresql_where=LIVE),
)

CHILD_TO_TELL = text("parent_run_id IS NOT NULL AND parent_told = 0")
Index(
    "ix_automation_runs_children",
    automation_runs.c.completed_at,
    automation_runs.c.id,
    sqlite_where=CHILD_TO_TELL,
    postgresql_where=CHILD_TO_TELL,
)

# What old runs are removed by.
IS_FINAL, IS_CHILD = text("completed_at IS NOT NULL"), text("parent_run_id IS NOT NULL")
Index(
    "ix_automation_runs_final",
    automation_runs.c.tenant_id,
    automation_runs.c.status,
    automation_runs.c.completed_at,
    automation_runs.c.id,
    sqlite_where=IS_FINAL,
    postgresql_where=IS_FINAL,
)
Index(
    "ix_automation_runs_parent_run_id",
    automation_runs.c.parent_run_id,
    sqlite_where=IS_CHILD,
    postgresql_where=IS_CHILD,
)

# What the triggers of concurrency keys look through: the live runs of a key, those held back in their order.
LIVE_WITH_KEY = text("completed_at IS NULL AND concurrency_key IS NOT NULL")
Index(
    "ix_automation_runs_concurrency_key",
    automation_runs.c.tenant_id,
    automation_runs.c.concurrency_key,
    automation_runs.c.is_queued,
    automation_runs.c.queued_at,
    automation_runs.c.id,
    sqlite_where=LIVE_WITH_KEY,
    postgresql_where=LIVE_WITH_KEY,
)

HAS_IDEMPOTENCY_KEY = text("idempotency_key IS NOT NULL")
Index(
    "uq_automation_runs_idempotency_key",
    automation_runs.c.tenant_id,
    automation_runs.c.automation_id,
    automation_runs.c.idempotency_key,
    unique=True,
    sqlite_where=HAS_IDEMPOTENCY_KEY,
    postgresql_where=HAS_IDEMPOTENCY_KEY,
)

# Steps, events and artifacts name their run without a foreign key: they are written only beside the guarded update
# of the run's own row, and checking each of them once more would cost more than writing it.

# One row for each attempt of the run in which the step was taken up; a row with an action_run_id is an action run.
steps = Table(
    "steps",
    metadata,
    Column("run_id", ID, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("action_run_id", ID),
    Column("status", WORD, nullable=False),
    Column("started_at", INSTANT),
    Column("completed_at", INSTANT),
    Column("result", JSON_TEXT),
    Column("result_truncated", Integer, nullable=False),
    Column("artifact_id", ID),
    Column("error", JSON_TEXT),
    Column("tries", Integer, nullable=False),
    Column("interrupts", Integer, nullable=False),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", INSTANT),
    Column("wake_at", INSTANT),
    Column("decision_id", ID),
    Column("child_run_id", ID),
    Column("skip_reason", WORD),
    Column("skipped_by", Text),
    Column("elements", JSON_TEXT),  # what a forEach step runs over
    Column("elements_attempt", Integer),  # the attempt in which they were found
    Column("awaits", JSON_TEXT),  # the event that the step waits for
    Column("awaits_type", Text),  # its type
    Column("looks_back", Integer),  # 1: what occurred before it began to wait is to be looked through
    Column("tenant_id", ID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("definition", JSON_TEXT),
    Column("progress", JSON_TEXT),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    PrimaryKeyConstraint("run_id", "attempt", "key"),
    # Unique for each tenant serves the lists too, and costs one index a step instead of two.
    UniqueConstraint("tenant_id", "action_run_id"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("run_id", ID, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", WORD, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step_key", Text),
    Column("occurred_at", INSTANT, nullable=False),
    Column("data", JSON_TEXT, nullable=False),
    PrimaryKeyConstraint("run_id", "seq"),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("run_id", ID, nullable=False, index=True),
    Column("action_run_id", ID, nullable=False),
    Column("kind", WORD, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("content", Text, nullable=False),  # of a file empty: it lies in its place
    *(Column(name, Text) for name in ("name", "media_type", "sha256", "place")),
    Index(None, "tenant_id", "id"),
    Index(None, "tenant_id", "action_run_id", "id"),
    CheckConstraint("kind IN ('json', 'text', 'file')", name="kind"),
)

# A fact that follows from the events of its run, written with them.
decisions = Table(
    "decisions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("run_id", ID, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("step_key", Text, nullable=False),
    Column("kind", WORD, nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text),
    Column("fields_schema", JSON_TEXT),
    Column("assignees", JSON_TEXT, nullable=False),
    Column("allow_self_approval", Integer, nullable=False),
    Column("status", WORD, nullable=False),
    Column("expires_at", INSTANT),
    Column("on_expire", WORD),
    Column("decided_by", ID),
    Column("decided_by_name", Text),
    Column("decided_at", INSTANT),
    Column("reason", Text),
    Column("fields", JSON_TEXT),
    Column("created_at", INSTANT, nullable=False),
    Index(None, "tenant_id", "id"),
    Index(None, "tenant_id", "status", "id"),
)

# Runs that were removed, but for their events up to this number, which are being removed too.
removed_runs = Table(
    "removed_runs",
    metadata,
    Column("run_id", ID, primary_key=True),
    Column("event_seq", BigInteger, nullable=False),
)

engines = Table(
    "engines",
    metadata,
    Column("id", ID, primary_key=True),
    Column("lease_expires_at", INSTANT, nullable=False),
    Column("started_at", INSTANT, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
)

# Kept by triggers in the transaction that moves a run. `writer` spreads the rows, so that processes that commit
# at the same moment do not wait for one another; the count of a status is the sum over the writers.
run_counts = Table(
    "run_counts",
    metadata,
    Column("tenant_id", ID, nullable=False),
    Column("status", WORD, nullable=False),
    Column("writer", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "status", "writer"),
    sqlite_with_rowid=False,
)

connections = Table(
    "connections",
    metadata,
    Column("id", ID, primary_key=True),
    Column("tenant_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("config", JSON_TEXT, nullable=False),
    Column("credentials", Text),  # sealed under the organization's data key
    Column("credential_fields", JSON_TEXT, nullable=False),
    Column("status", WORD, nullable=False),
    Column("verification_error", Text),
    Column("last_verified_at", INSTANT),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "tenant_id", "id"),
    UniqueConstraint("tenant_id", "slug"),
    CheckConstraint("status IN ('needs_verification', 'active', 'error')", name="status"),
)

# One key an organization, sealed under the master key whose fingerprint stands beside it.
data_keys = Table(
    "data_keys",
    metadata,
    Column("tenant_id", ID, ForeignKey("organizations.id"), primary_key=True),
    Column("master_key", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False),
)
