"""What is written to the store and asked of it, and what becomes of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vai.domain.events import Event
from vai.domain.state import Instant, RunState, StepState
from vai.domain.status import DecisionStatus, RunStatus, StepStatus
from vai.ports.records import RunRecord


class NewRun(msgspec.Struct, frozen=True):
    """A run to be accepted. With an `idempotency_key` that its automation has seen, the earlier run answers."""

    record: RunRecord
    input: Any
    payload: Any
    events: Sequence[Event]
    idempotency_key: str | None = None
    idempotency_hash: str | None = None  # of the request's body
    lease_owner: str | None = None  # the engine of this process, which drives it from its acceptance on
    concurrency_limit: int = 1  # how many runs of its concurrency key may be under way
    on_conflict: str = "queue"  # queue | cancel_running | skip: when that many are


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


class Busy(msgspec.Struct, frozen=True):
    """A run that was not accepted: others of its concurrency key are under way, and it asked for `skip`."""

    run_id: str | None  # one of those, if it is still there


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


class ArtifactFilter(msgspec.Struct, frozen=True):
    """Which artifacts a list shows."""

    tenant_id: str
    action_run_id: str | None = None
    kind: str | None = None
    limit: int = 50
    offset: int = 0


class DecisionFilter(msgspec.Struct, frozen=True):
    """Which decisions a list shows. `assigned_to`: those that name one of these, or nobody, as assignees."""

    tenant_id: str
    statuses: Sequence[DecisionStatus] = ()
    run_id: str | None = None
    assigned_to: Sequence[str] | None = None
    limit: int = 100
    offset: int = 0


class EventFilter(msgspec.Struct, frozen=True):
    """Which events of an organization a list shows: those from `since` on and before `until`."""

    tenant_id: str
    event_type: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    correlation_id: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: int = 100
    offset: int = 0


class EventCounts(msgspec.Struct, frozen=True):
    """How many events there are: by their type, by who acted, and by what they are about; most first."""

    total: int
    by_event_type: Sequence[tuple[str, int]]
    by_actor_type: Sequence[tuple[str, int]]
    by_resource_type: Sequence[tuple[str, int]]


class StoreUnavailable(Exception):
    """The database cannot be reached or written just now; nothing of the request was kept."""


class DiskFull(StoreUnavailable):
    """The database has no room; what only reads still works, and the rest when there is room again."""


class AlreadyExists(Exception):
    """Something with this id or name is there already, or what it refers to is gone; nothing was written."""
