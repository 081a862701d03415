"""Rows as the doors see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vai.domain.state import EventWait, Instant, RunError, StepState
from vai.domain.status import DecisionKind, DecisionStatus, OnExpire, RunStatus


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
    parent_run_id: str | None = None  # the run whose step waits for this one
    parent_step_key: str | None = None
    parent_attempt: int | None = None  # of that run


class Turn(msgspec.Struct, frozen=True):
    """A run's place by its concurrency key: whether it is held back, since when, which runs are under way (the first
    ones), and how many stand before it."""

    is_queued: bool = False
    since: Instant | None = None
    under_way: Sequence[str] = ()
    before: int = 0


class EndedChild(msgspec.Struct, frozen=True):
    """A run that has ended, and whose parent has not been told. `is_awaited`: its step waits for it just now."""

    run_id: str
    parent_run_id: str
    parent_step_key: str
    is_awaited: bool


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
    traceparent: str | None = None  # that the run was started with
    trigger: Mapping[str, Any] = {}  # what its trigger told


class UnheldRun(msgspec.Struct, frozen=True):
    """A run that is not final and that no engine holds: what is needed to see to it that another system drives it."""

    run_id: str
    tenant_id: str
    automation_id: str
    version: int
    is_pending: bool  # it, or its new attempt, has not begun
    is_due: bool  # it waits for nothing but whoever drives it


class DecisionRecord(msgspec.Struct, frozen=True):
    """A question to people, and what became of it."""

    id: str
    tenant_id: str
    run_id: str
    attempt: int
    step_key: str
    kind: DecisionKind
    title: str
    message: str | None
    fields_schema: Any  # JSON Schema of what is to be filled in
    assignees: Sequence[str]
    allow_self_approval: bool
    status: DecisionStatus
    expires_at: Instant | None
    on_expire: OnExpire | None
    decided_by: str | None  # the id of the key or session
    decided_by_name: str | None
    decided_at: Instant | None
    reason: str | None
    fields: Any
    created_at: Instant


class StoredEvent(msgspec.Struct, frozen=True):
    """An event with its number. `data` is JSON text."""

    run_id: str
    seq: int
    type: str
    attempt: int
    step_key: str | None
    occurred_at: Instant
    data: str


class TenantEvent(msgspec.Struct, frozen=True):
    """Something that concerns an organization: what happened to what, who did it, and what it follows from."""

    id: str
    tenant_id: str
    event_type: str
    resource_type: str | None
    resource_id: str | None
    actor_type: str  # user | api_key | system, or what started a run
    actor_id: str | None
    correlation_id: str  # the same for all that follows from one cause
    causation_id: str | None  # the event or the run that it follows from
    occurred_at: Instant
    payload: Any


class AwaitingStep(msgspec.Struct, frozen=True):
    """A step that waits for an event of its tenant."""

    tenant_id: str
    run_id: str
    attempt: int
    key: str
    wait: EventWait


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
    """Something too large to stand in a row: a whole result, or a file that a step attached."""

    id: str
    tenant_id: str
    run_id: str
    action_run_id: str
    kind: str  # json | text | file
    size_bytes: int
    created_at: Instant
    name: str | None = None  # of a file, and so are the others
    media_type: str | None = None
    sha256: str | None = None
    place: str | None = None  # of its content
