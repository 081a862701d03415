"""Records for the tests of the store, and a way to make it write several things in one transaction."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.domain.events import Event, RunCreated, StepLog
from vai.domain.graph import Graph
from vai.domain.state import RunContext, RunState, StepState
from vai.domain.status import RunStatus
from vai.ports import (
    AutomationRecord,
    Created,
    Landed,
    NewRun,
    RunChange,
    RunRecord,
    StepWrite,
    Store,
    TriggerRecord,
    VersionRecord,
)
from vai.storage.store import SqlStore

NOW = 1_760_000_000_000
GRAPH = Graph({}, {})


def new_id() -> str:
    return str(uuid7())


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@dataclass(frozen=True)
class Tenant:
    """An organization with an automation and its active version."""

    id: str
    automation_id: str
    version_id: str


def automation(tenant_id: str, name: str = "nightly", **changes: Any) -> AutomationRecord:
    record = AutomationRecord(new_id(), tenant_id, name, name, None, "active", "manual", "dag", None, NOW, NOW)
    return msgspec.structs.replace(record, **changes)


def version(of: AutomationRecord, number: int = 1, status: str = "active", **changes: Any) -> VersionRecord:
    record = VersionRecord(new_id(), of.tenant_id, of.id, number, status, {"number": number}, NOW, NOW, None)
    return msgspec.structs.replace(record, **changes)


async def add_tenant(store: Store) -> Tenant:
    tenant_id = new_id()
    await store.create_organization(tenant_id, "Acme", tenant_id, NOW)
    record = automation(tenant_id)
    first = version(record)
    await store.create_automation(record, first)
    return Tenant(tenant_id, record.id, first.id)


def schedule(of: Tenant, key: str = "schedule", **changes: Any) -> TriggerRecord:
    record = TriggerRecord(
        id=new_id(),
        tenant_id=of.id,
        automation_id=of.automation_id,
        version_id=of.version_id,
        key=key,
        type="schedule",
        config={"schedule": "* * * * *", "timezone": "UTC", "catchUp": "none", "input": None},
        address=None,
        is_paused=False,
        next_due_at=NOW,
        last_due_at=None,
        last_run_id=None,
        last_error=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return msgspec.structs.replace(record, **changes)


def webhook(of: Tenant, path: str, **changes: Any) -> TriggerRecord:
    return schedule(of, path, **{"type": "webhook", "address": path, "next_due_at": None, "config": {}} | changes)


def run_record(tenant: Tenant, **changes: Any) -> RunRecord:
    record = RunRecord(
        id=new_id(),
        tenant_id=tenant.id,
        automation_id=tenant.automation_id,
        automation_version_id=tenant.version_id,
        version_number=1,
        status=RunStatus.PENDING,
        orchestrator_type="dag",
        trigger_type="manual",
        trigger_source_type="user",
        trigger_source_id=None,
        concurrency_key=None,
        external_job_id=None,
        error=None,
        attempt=1,
        cancel_requested_at=None,
        created_at=NOW,
        started_at=None,
        completed_at=None,
        updated_at=NOW,
        version=1,
        event_seq=0,
    )
    return msgspec.structs.replace(record, **changes)


def new_run(tenant: Tenant, *, lease_owner: str | None = None, key: str | None = None, **changes: Any) -> NewRun:
    rule = {name: changes.pop(name) for name in ("concurrency_limit", "on_conflict") if name in changes}
    return NewRun(
        run_record(tenant, **changes),
        {"region": "eu"},
        None,
        [RunCreated(NOW)],
        idempotency_key=key,
        idempotency_hash=None if key is None else f"hash of {key}",
        lease_owner=lease_owner,
        **rule,
    )


async def accept(store: Store, tenant: Tenant, **options: Any) -> RunRecord:
    """A new run, pending."""
    created: Created = await store.create_run(new_run(tenant, **options))
    return created.run


def change(
    run: RunRecord,
    *,
    version: int | None = None,
    status: RunStatus = RunStatus.RUNNING,
    events: Sequence[Event] = (),
    steps: Sequence[StepWrite] = (),
    **fields: Any,
) -> RunChange:
    """A change of `run` to `status`, guarded by `version` (default: the one it was accepted with); `fields` are
    those of RunChange and RunState."""
    options = {name: fields.pop(name) for name in ("lease_owner", "release", "due_at") if name in fields}
    after = RunState(
        run.id,
        GRAPH,
        RunContext(run.tenant_id, run.automation_id, run.created_at, concurrency_key=run.concurrency_key),
        {},
        status=status,
        attempt=fields.pop("attempt", run.attempt),
        started_at=NOW,
        completed_at=NOW if status.is_final else None,
        **fields,
    )
    expected = run.version if version is None else version
    return RunChange(run.id, expected, after, list(events), list(steps), NOW, **options)


async def land(store: Store, wanted: RunChange) -> Landed:
    """Commit a change that must land."""
    outcome = await store.commit(wanted)
    assert isinstance(outcome, Landed)
    return outcome


def log(message: str = "a line", key: str = "extract") -> StepLog:
    return StepLog(NOW, key, "info", message)


def step(key: str = "extract", *, kind: str = "python", **fields: Any) -> StepWrite:
    write = {name: fields.pop(name) for name in ("definition", "artifact") if name in fields}
    return StepWrite(StepState(key, **fields), kind, **write)


@asynccontextmanager
async def held_writer(store: SqlStore) -> AsyncIterator[None]:
    """While inside, what is given to the writer waits; on leaving it is written in one transaction."""
    go, entered = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        entered.set()
        go.wait(30)

    held = store._call(hold)
    try:
        while not entered.is_set():
            await store._db.read(lambda _: entered.wait(1))
        yield
    finally:
        go.set()
    await held
