"""The protocols between the rooms, and the values that cross them. Whoever implements one knows nothing of who calls."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from vai.domain.commands import Report
from vai.domain.events import Event
from vai.domain.state import Instant, RunError, RunState, StepError, StepState
from vai.domain.status import RunStatus, StepStatus

# --- records: rows as the doors see them -------------------------------------------------------------------


class RunRecord(msgspec.Struct, frozen=True):
    """A run without its steps: what lists and single reads show. `version` guards writes."""

    id: str
    tenant_id: str
    automation_id: str
    automation_version_id: str
    version_number: int
    status: RunStatus
    orchestrator_type: str
    trigger_type: str
    trigger_source_type: str
    trigger_source_id: str | None
    concurrency_key: str | None
    external_job_id: str | None
    error: RunError | None
    attempt: int
    cancel_requested_at: Instant | None
    created_at: Instant
    started_at: Instant | None
    completed_at: Instant | None
    updated_at: Instant
    version: int
    event_seq: int  # number of the last event


class StepRecord(msgspec.Struct, frozen=True):
    """A step's row: one for each attempt of the run in which the step was taken up."""

    run_id: str
    state: StepState
    definition: Any = None  # after expressions; None until it began
    progress: Any = None  # the last one reported


class ActionRunRecord(msgspec.Struct, frozen=True):
    """A step's row seen as an action run, with what its run says of the trigger."""

    step: StepRecord
    kind: str
    tenant_id: str
    trigger_source_type: str
    trigger_source_id: str | None
    created_at: Instant
    updated_at: Instant


class LoadedRun(msgspec.Struct, frozen=True):
    """All that is needed to drive a run."""

    run: RunRecord
    input: Any
    payload: Any
    config: Any  # of the version it is pinned to
    stopping: str | None
    attempt_started_at: Instant | None
    steps: Sequence[StepRecord]  # the latest row of each step that has one; results whole, from artifacts too
    lease_owner: str | None


class StoredEvent(msgspec.Struct, frozen=True):
    """An event with its number. `data` is JSON text."""

    run_id: str
    seq: int
    type: str
    attempt: int
    step_key: str | None
    occurred_at: Instant
    data: str


class AutomationRecord(msgspec.Struct, frozen=True):
    """An automation. Its `config` is that of the draft, else of the active version, else the latest."""

    id: str
    tenant_id: str
    name: str
    slug: str
    description: str | None
    status: str  # draft | active | archived
    trigger_type: str
    orchestrator_type: str
    template_id: str | None
    created_at: Instant
    updated_at: Instant


class VersionRecord(msgspec.Struct, frozen=True):
    """A numbered version of an automation."""

    id: str
    tenant_id: str
    automation_id: str
    number: int
    status: str  # draft | active | archived
    config: Any
    created_at: Instant
    updated_at: Instant
    published_at: Instant | None


class VersionsSummary(msgspec.Struct, frozen=True):
    """How many versions an automation has, and the config it shows (of its draft, else active, else latest)."""

    count: int
    active_count: int
    has_draft: bool
    config: Any


class ApiKeyRecord(msgspec.Struct, frozen=True):
    """An API key or a session: never the secret itself, only its SHA-256."""

    id: str
    tenant_id: str
    name: str
    prefix: str
    key_hash: str
    role: str
    kind: str  # api_key | session (the cookie's; made from an API key, its parent)
    parent_id: str | None
    expires_at: Instant | None
    created_at: Instant
    last_used_at: Instant | None
    revoked_at: Instant | None


class ArtifactRecord(msgspec.Struct, frozen=True):
    """Something too large to stand in a row."""

    id: str
    tenant_id: str
    run_id: str
    action_run_id: str
    kind: str  # json | text | file
    size_bytes: int
    created_at: Instant


# --- the store ---------------------------------------------------------------------------------------------


class NewRun(msgspec.Struct, frozen=True):
    """A run to be accepted. With an `idempotency_key` that its automation has seen, the earlier run answers."""

    record: RunRecord
    input: Any
    payload: Any
    events: Sequence[Event]
    idempotency_key: str | None = None
    idempotency_hash: str | None = None  # of the request's body
    lease_owner: str | None = None  # the engine of this process, which drives it from its acceptance on


class StepWrite(msgspec.Struct, frozen=True):
    """A step's row as it is to be. `artifact`: the whole result as JSON text where `state.result` is a preview."""

    state: StepState
    kind: str
    definition: Any = msgspec.UNSET  # UNSET leaves the stored one
    artifact: str | None = None


class RunChange(msgspec.Struct, frozen=True):
    """A change of one run, all or nothing. It lands only if the run's version is `expected_version` and, when
    `lease_owner` is given, that engine still holds the run."""

    run_id: str
    expected_version: int
    state: RunState  # after the change
    events: Sequence[Event]
    steps: Sequence[StepWrite]
    now: Instant
    due_at: Instant | None = None  # when an engine has to look at it again without being told
    lease_owner: str | None = None
    release: bool = False  # give the lease back with this change


class Landed(msgspec.Struct, frozen=True):
    """The change is durable: the run's new version, and the number of its last event."""

    version: int
    event_seq: int


class Conflict(msgspec.Struct, frozen=True):
    """Somebody was faster, or the lease is gone: nothing was written. Load afresh."""


Outcome = Landed | Conflict


class Created(msgspec.Struct, frozen=True):
    """What became of a NewRun: `is_new` is False when the idempotency key was known; `hash` is then the first's."""

    run: RunRecord
    is_new: bool
    idempotency_hash: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Some of a list, and how many there are in all."""

    items: Sequence[Any]
    total: int


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs a list shows."""

    tenant_id: str
    statuses: Sequence[RunStatus] = ()
    automation_id: str | None = None
    limit: int = 100
    offset: int = 0


class ActionRunFilter(msgspec.Struct, frozen=True):
    """Which action runs a list shows."""

    tenant_id: str
    run_id: str | None = None
    kind: str | None = None
    status: StepStatus | None = None
    limit: int = 100
    offset: int = 0


class StoreUnavailable(Exception):
    """The database cannot be reached or written just now; nothing of the request was kept."""


class RunStore(Protocol):
    """Where runs are kept. Every method takes the tenant where a person may be behind it."""

    async def create_run(self, new: NewRun) -> Created: ...
    async def commit(self, change: RunChange) -> Outcome: ...
    async def append(
        self, run_id: str, lease_owner: str, attempt: int, events: Sequence[Event]
    ) -> bool:
        """Store progress and log events, which change no state; sets the step's progress. False: lease gone."""
        ...

    async def load(self, run_id: str) -> LoadedRun | None: ...
    async def run(self, tenant_id: str, run_id: str) -> RunRecord | None: ...
    async def runs(self, query: RunFilter) -> Page: ...
    async def steps(self, tenant_id: str, run_id: str, attempt: int | None = None) -> Sequence[StepRecord]: ...
    async def events(
        self, run_id: str, after: int = 0, limit: int = 1000
    ) -> Sequence[StoredEvent]: ...
    async def action_run(self, tenant_id: str, action_run_id: str) -> ActionRunRecord | None: ...
    async def action_runs(self, query: ActionRunFilter) -> Page: ...
    async def artifact(self, tenant_id: str, artifact_id: str) -> tuple[ArtifactRecord, str] | None: ...


class AutomationStore(Protocol):
    """Where automations and their versions are kept."""

    async def create_automation(self, record: AutomationRecord, draft: VersionRecord) -> None: ...
    async def automation(self, tenant_id: str, automation_id: str) -> AutomationRecord | None: ...
    async def automation_by_name(self, tenant_id: str, name: str) -> AutomationRecord | None: ...
    async def automations(
        self, tenant_id: str, status: Sequence[str], limit: int, offset: int
    ) -> Page: ...
    async def update_automation(self, record: AutomationRecord) -> None: ...
    async def delete_automation(self, tenant_id: str, automation_id: str) -> bool:
        """Remove it with its versions and its final runs. False: a run of it is not final, nothing was removed."""
        ...

    async def versions(self, tenant_id: str, automation_id: str) -> Sequence[VersionRecord]: ...
    async def version(self, version_id: str) -> VersionRecord | None: ...
    async def save_versions(
        self, automation: AutomationRecord, versions: Sequence[VersionRecord]
    ) -> bool:
        """Insert or update these versions and the automation in one transaction. False: the one-draft or
        one-active rule refused it because somebody was faster."""
        ...

    async def version_summaries(
        self, tenant_id: str, automation_ids: Sequence[str]
    ) -> Mapping[str, VersionsSummary]: ...
    async def latest_runs(self, tenant_id: str, automation_ids: Sequence[str]) -> Mapping[str, RunRecord]: ...


class AccessStore(Protocol):
    """Where tenants and keys are kept."""

    async def create_organization(self, organization_id: str, name: str, slug: str, now: Instant) -> None: ...
    async def organization(self, organization_id: str) -> Mapping[str, Any] | None: ...
    async def organization_by_slug(self, slug: str) -> Mapping[str, Any] | None: ...
    async def create_api_key(self, key: ApiKeyRecord) -> None: ...
    async def api_key_by_hash(self, key_hash: str) -> ApiKeyRecord | None: ...
    async def api_keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]: ...
    async def revoke_api_key(self, tenant_id: str, key_id: str, now: Instant) -> bool: ...
    async def touch_api_key(self, key_id: str, now: Instant) -> None: ...


class LeaseStore(Protocol):
    """Who drives which run. A lease is the run's `lease_owner`, good while that engine's own row is renewed."""

    async def register_engine(self, engine_id: str, lease_seconds: float) -> None: ...
    async def renew(self, engine_id: str, lease_seconds: float) -> bool:
        """False: it was declared dead, and what it held may be held by another."""
        ...

    async def claim(self, engine_id: str, limit: int) -> Sequence[str]:
        """Take up to `limit` runs of orchestrators that this engine serves: pending ones, ones due that nobody
        holds, and those whose engine is dead or expired. Bumps each one's version. Oldest first."""
        ...

    async def claim_run(self, engine_id: str, run_id: str) -> bool:
        """Take this one, if it is claimable."""
        ...

    async def retire_engine(self, engine_id: str) -> None:
        """Give back all that it holds and remove its row."""
        ...

    async def next_due(self) -> Instant | None:
        """When the next run that nobody holds is due."""
        ...


class Commits(Protocol):
    """What is told about commits, after they are durable. Called on the event loop; must not block."""

    def __call__(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None: ...


class Store(RunStore, AutomationStore, AccessStore, LeaseStore, Protocol):
    """The whole store. `on_commit` listeners hear of commits of every process, with events where this one made
    them and with none where another did (read them from the store then)."""

    on_commit: list[Commits]

    async def open(self) -> None:
        """Migrate, connect, start the writer. Raises StoreUnavailable with a sentence on what to do."""
        ...

    async def close(self) -> None: ...
    async def check(self) -> Mapping[str, Any]:
        """What `/health?deep=true` says of the database."""
        ...


# --- actions -----------------------------------------------------------------------------------------------


class ActionFailed(Exception):
    """Raised by an action to say how it failed. Any other exception counts as `type` = its class's name."""

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        retryable: bool = False,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = StepError(error_type, message, retryable, dict(details or {}))
        self.retry_after_seconds = retry_after_seconds


class ActionStopped(Exception):
    """Raised by an action, or by its runner, when it ended because it was asked to stop."""


class Sleep(msgspec.Struct, frozen=True):
    """An action's answer: be done at `until`, with `result`, and hold nothing meanwhile."""

    until: Instant
    result: Any = None


class Branch(msgspec.Struct, frozen=True):
    """An action's answer: done with `result`, and the steps `skips` are not taken."""

    result: Any
    skips: tuple[str, ...] = ()


class ActionContext(Protocol):
    """What an action may know and tell while it runs. Safe to use from any thread."""

    run_id: str
    step_key: str
    tenant_id: str
    attempt: int
    try_number: int
    idempotency_key: str
    grace_seconds: float
    logger: logging.Logger  # its lines become step.log events

    def progress(self, **fields: Any) -> None:
        """Tell how far it is, e.g. phase="loading", done=3, total=10, rows=1200. Becomes step.progress."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once the action is asked to stop."""
        ...

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call this once when the action is asked to stop (at once if it already was). Any thread."""
        ...

    async def wait_cancelled(self) -> None:
        """Return once the action is asked to stop."""
        ...


class Action(Protocol):
    """A kind of step."""

    kind: str
    title: str
    description: str
    extra: str | None  # the extra that brings what it needs, e.g. "data" for vai-engine[data]
    available: bool  # False when what it needs is not installed

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its definition."""
        ...

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition *template*; values that hold `{{ }}` are taken to fit."""
        ...

    def run(self, definition: Any, context: ActionContext) -> Awaitable[Any]:
        """Do it, on the event loop's thread (what blocks must be moved to a thread or a child process by the
        action). Answers JSON-able data, Sleep or Branch; raises ActionFailed, ActionStopped or anything.
        When asyncio-cancelled it must end at once and leave nothing running (the grace is over)."""
        ...


class Actions(Protocol):
    """The registry of kinds."""

    def get(self, kind: str) -> Action | None: ...
    def all(self) -> Sequence[Action]: ...


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a body: the path to it, a sentence, and a class of faults."""

    loc: tuple[str | int, ...]
    msg: str
    type: str = "value_error"


Clock = Callable[[], Instant]
"""The present, in milliseconds since the epoch; tests hand in their own."""

