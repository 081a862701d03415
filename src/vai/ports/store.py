"""The protocols of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vai.domain.events import Event
from vai.domain.state import Instant
from vai.domain.status import RunStatus
from vai.ports.changes import (
    ActionRunFilter,
    ArtifactFilter,
    Busy,
    Created,
    DecisionFilter,
    EventCounts,
    EventFilter,
    NewRun,
    Outcome,
    Page,
    RunChange,
    RunFilter,
)
from vai.ports.connections import ConnectionStore
from vai.ports.contents import AttachmentStore
from vai.ports.operations import OperationsStore
from vai.ports.records import (
    ActionRunRecord,
    ApiKeyRecord,
    ArtifactRecord,
    AutomationRecord,
    AwaitingStep,
    DecisionRecord,
    EndedChild,
    LoadedRun,
    RunRecord,
    StepRecord,
    StoredEvent,
    TenantEvent,
    Turn,
    UnheldRun,
    VersionRecord,
    VersionsSummary,
)
from vai.ports.retention import RetentionStore
from vai.ports.triggers import TriggerRecord, TriggerStore

ORCHESTRATORS = ("local", "dag")


class RunStore(Protocol):
    """Where runs are kept. Every method takes the tenant where a person may be behind it."""

    async def create_run(self, new: NewRun) -> Created | Busy:
        """Accept a run, or find the one that its idempotency key stands for. One with a concurrency key is held
        back while as many of its key are under way as its limit allows; with `skip` it is not accepted then."""
        ...

    async def known_run(self, tenant_id: str, automation_id: str, idempotency_key: str) -> Created | None:
        """The run that this key started, or None."""
        ...

    async def commit(self, change: RunChange) -> Outcome: ...
    async def append(self, run_id: str, lease_owner: str | None, attempt: int, events: Sequence[Event]) -> bool:
        """Store progress and log events, which change no state; sets the step's progress. Without a `lease_owner`
        no engine may hold the run. False: somebody else holds it, or it is final or in another attempt."""
        ...

    async def save_artifact(self, artifact: ArtifactRecord, content: str) -> bool:
        """Keep a result that is too large for its row, before the change that refers to it. False: its run is gone."""
        ...

    async def load(self, run_id: str) -> LoadedRun | None: ...
    async def run(self, tenant_id: str, run_id: str) -> RunRecord | None: ...
    async def runs(self, query: RunFilter) -> Page: ...
    async def steps(self, tenant_id: str, run_id: str, attempt: int | None = None) -> Sequence[StepRecord]: ...
    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]: ...
    async def action_run(self, tenant_id: str, action_run_id: str) -> ActionRunRecord | None: ...
    async def action_runs(self, query: ActionRunFilter) -> Page: ...
    async def artifact(self, tenant_id: str, artifact_id: str) -> ArtifactRecord | None: ...
    async def artifact_content(self, tenant_id: str, artifact_id: str) -> tuple[ArtifactRecord, str] | None: ...
    async def artifacts(self, query: ArtifactFilter) -> Page: ...


class DecisionStore(Protocol):
    """Where decisions are read; changes of runs write them."""

    async def decision(self, tenant_id: str, decision_id: str) -> DecisionRecord | None: ...
    async def decisions(self, query: DecisionFilter) -> Page: ...


class EventStore(Protocol):
    """The log of organizations, and the steps that wait for an event of it."""

    async def add_event(self, event: TenantEvent, idempotency_key: str | None) -> TenantEvent:
        """Store an event, or answer the tenant's earlier one of this idempotency key."""
        ...

    async def tenant_event(self, tenant_id: str, event_id: str) -> TenantEvent | None: ...
    async def tenant_events(self, query: EventFilter) -> Page:
        """The tenant's events, newest first."""
        ...

    async def count_events(self, tenant_id: str, since: Instant | None, until: Instant | None) -> EventCounts: ...
    async def pending_events(self, limit: int) -> Sequence[TenantEvent]:
        """Events that those who wait for them have not been told of; oldest first."""
        ...

    async def settle_events(self, event_ids: Sequence[str]) -> None:
        """All that wait for these events have been told."""
        ...

    async def awaiting_steps(
        self, tenant_id: str, event_type: str, after: AwaitingStep | None, limit: int
    ) -> Sequence[AwaitingStep]:
        """Steps that wait for an event of this type, those after `after`."""
        ...

    async def looking_back(self, limit: int) -> Sequence[AwaitingStep]:
        """Steps that have begun to wait, and for which what occurred before has not been looked through."""
        ...

    async def events_since(
        self, tenant_id: str, event_type: str, since: Instant, after_id: str, limit: int
    ) -> Sequence[TenantEvent]:
        """Events of a type that occurred since then, with an id above `after_id`; oldest first."""
        ...

    async def remove_events(self, tenant_id: str, before: Instant) -> int:
        """Remove some of the tenant's events that were stored before then and that all have been told of: how many."""
        ...

    async def looked_back(self, step: AwaitingStep) -> None:
        """What occurred before the step began to wait has been looked through."""
        ...


class AutomationStore(Protocol):
    """Where automations and their versions are kept."""

    async def create_automation(self, record: AutomationRecord, draft: VersionRecord) -> None: ...
    async def automation(self, tenant_id: str, automation_id: str) -> AutomationRecord | None: ...
    async def automation_by_name(self, tenant_id: str, name: str) -> AutomationRecord | None: ...
    async def automation_by_slug(self, tenant_id: str, slug: str) -> AutomationRecord | None:
        """The oldest one with this slug, which several may have."""
        ...

    async def automations(self, tenant_id: str, status: Sequence[str], limit: int, offset: int) -> Page: ...
    async def update_automation(self, record: AutomationRecord) -> None: ...
    async def delete_automation(self, tenant_id: str, automation_id: str) -> bool:
        """Remove it with its versions and its final runs. False: a run of it is not final, nothing was removed."""
        ...

    async def versions(self, tenant_id: str, automation_id: str) -> Sequence[VersionRecord]: ...
    async def version(self, version_id: str) -> VersionRecord | None: ...
    async def startable(
        self, tenant_id: str, automation_id: str, number: int | None
    ) -> tuple[AutomationRecord, VersionRecord | None] | None:
        """The automation with its version of that number, else its active one, if there is such a version."""
        ...

    async def save_versions(
        self,
        automation: AutomationRecord,
        versions: Sequence[VersionRecord],
        triggers: Sequence[TriggerRecord] | None = None,
    ) -> bool:
        """Insert or update these versions and the automation in one transaction, and put `triggers` (None: leave them)
        in the place of its triggers: those with a known id keep their pause and what they did last. False: the
        one-draft or one-active rule refused it because somebody was faster."""
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
    async def api_key(self, tenant_id: str, key_id: str) -> ApiKeyRecord | None: ...
    async def api_keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]: ...
    async def revoke_api_key(self, tenant_id: str, key_id: str, now: Instant) -> bool: ...
    async def touch_api_key(self, key_id: str, now: Instant) -> None: ...


class LeaseStore(Protocol):
    """Who drives which run. A lease is the run's `lease_owner`, good while that engine's own row is renewed."""

    async def register_engine(self, engine_id: str, lease_seconds: float) -> None: ...
    async def renew(self, engine_id: str, lease_seconds: float) -> bool:
        """False: it was declared dead, and what it held may be held by another."""
        ...

    async def claim(self, engine_id: str, limit: int, orchestrators: Sequence[str] = ORCHESTRATORS) -> Sequence[str]:
        """Take up to `limit` runs of these orchestrators: pending ones, ones due that nobody
        holds, and those whose engine is dead or expired. Bumps each one's version. Oldest first."""
        ...

    async def claim_run(self, engine_id: str, run_id: str, orchestrators: Sequence[str] = ORCHESTRATORS) -> bool:
        """Take this one, if it is of these orchestrators and claimable."""
        ...

    async def held(self, engine_id: str) -> Mapping[str, int]:
        """The runs that it holds, each with its version."""
        ...

    async def retire_engine(self, engine_id: str) -> None:
        """Give back all that it holds and remove its row."""
        ...

    async def next_due(self, orchestrators: Sequence[str] = ORCHESTRATORS) -> Instant | None:
        """When the next run of these orchestrators that nobody holds is due."""
        ...

    async def unheld(self, orchestrator: str, before: Instant, after_id: str, limit: int) -> Sequence[UnheldRun]:
        """Up to `limit` runs that are not final, that no engine holds, and that nobody has changed since `before`:
        those with an id above `after_id`, in the order of their ids."""
        ...

    async def unheld_run(self, orchestrator: str, run_id: str) -> UnheldRun | None:
        """The run, if it is of this orchestrator, not final, and no engine holds it."""
        ...


class UpkeepStore(Protocol):
    """What the end or the beginning of one run asks of others."""

    async def turn(self, tenant_id: str, run_id: str) -> Turn:
        """The run's place by its concurrency key; without a key, or when it may go on, it is not held back."""
        ...

    async def ended_children(self) -> Sequence[EndedChild]:
        """Some of the runs that have ended and whose parents have not been told: those whose step waits for them, or
        does not any more."""
        ...

    async def forget_child(self, run_id: str) -> None:
        """The parent has been told, or there is nothing to tell it."""
        ...

    async def orphans(self) -> Sequence[str]:
        """Runs that go on although the step that started them has ended: they are to be cancelled."""
        ...

    async def giving_way(self) -> Sequence[str]:
        """Runs that are to be cancelled, because a newer one of their concurrency key asked for `cancel_running`."""
        ...


class Commits(Protocol):
    """What is told about commits, after they are durable. Called on the event loop; must not block."""

    def __call__(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None: ...


class Store(
    RunStore,
    AttachmentStore,
    DecisionStore,
    EventStore,
    AutomationStore,
    AccessStore,
    ConnectionStore,
    TriggerStore,
    LeaseStore,
    UpkeepStore,
    RetentionStore,
    OperationsStore,
    Protocol,
):
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
