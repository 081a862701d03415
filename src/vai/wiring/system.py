"""Builds every room from the settings and puts them together."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vai.access import Access, new_key
from vai.actions import BadActions, registry, try_connection
from vai.api import Doors, create_app
from vai.automations import Automations, Triggers
from vai.connections import BadMasterKey, Connections, MasterKeys, Sealing, Verdict
from vai.engine import Engine, EngineSettings
from vai.events import Events
from vai.execution import ConnectedActions
from vai.ports import Actions, Connection, FileBounds, Store, StoreUnavailable
from vai.runs import Attachments, Decisions, Definitions, Door, EventHub, Retention, Runs
from vai.settings import Settings
from vai.storage import open_store
from vai.telemetry import Traces, are_wanted
from vai.triggers import Schedules, Webhooks
from vai.wiring.contents import contents_of
from vai.wiring.dag import OnTemporal, on_temporal, served_here
from vai.wiring.faults import CannotServe
from vai.wiring.tracing import tracing
from vai.wiring.watch import Watch

_log = logging.getLogger("vai")


@dataclass(frozen=True)
class System:
    """A running system: its rooms, put together."""

    settings: Settings
    store: Store
    doors: Doors
    engine: Engine
    temporal: OnTemporal | None
    schedules: Schedules
    traces: Traces | None
    tenant_id: str
    app: Any

    @property
    def steps_at_work(self) -> int:
        """How many steps this process executes now."""
        return self.engine.steps_at_work + (0 if self.temporal is None else self.temporal.steps_at_work)

    async def start(self, *, schedules: bool) -> None:
        """Begin to drive runs, or to hand them on, and with `schedules` to start those that are due. Raises
        CannotServe."""
        if self.traces is not None:
            self.traces.start()
        if self.settings.engine:
            await self.engine.start()
        if self.temporal is not None:
            await self.temporal.start()
        if schedules and (self.settings.engine or self.temporal is not None):
            self.schedules.start()

    async def drain(self) -> None:
        """Take nothing more, give running steps their time, hand the rest back. Draining again does nothing."""
        await self.schedules.stop()
        if self.temporal is not None:
            await self.temporal.stop()
        if self.settings.engine:
            await self.engine.stop()

    def hurry(self) -> None:
        """Hand everything back now."""
        self.engine.hurry()
        if self.temporal is not None:
            self.temporal.hurry()


def clock() -> int:
    """The present, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def running(settings: Settings, *, schedules: bool = True) -> AsyncIterator[System]:
    """Everything but the HTTP server, started; stopped in the opposite order. `schedules`: whether a process that
    drives runs, or hands them on, also starts those that are due. Raises CannotServe."""
    store, actions = _prepare(settings)
    try:
        await store.open()
    except StoreUnavailable as reason:
        raise CannotServe(str(reason)) from reason
    try:
        system = await _assemble(settings, store, actions)
        try:
            await system.start(schedules=schedules)
            yield system
        finally:
            await system.drain()
            if system.traces is not None:
                await system.traces.stop()
    finally:
        await store.close()


def _prepare(settings: Settings) -> tuple[Store, Actions]:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        actions = registry(
            settings.actions,
            data_dir=settings.data_dir,
            max_processes=settings.max_processes,
            traces=are_wanted(os.environ),
        )
    except OSError as error:
        raise CannotServe(f"The data folder {settings.data_dir} cannot be used: {error.strerror}.") from error
    except BadActions as reason:
        raise CannotServe(str(reason)) from reason
    try:
        return open_store(settings.database, clock=clock), actions
    except ValueError as error:
        raise CannotServe(str(error)) from error


async def _assemble(settings: Settings, store: Store, actions: Actions) -> System:
    definitions, hub = Definitions(actions), EventHub(store)
    door = _door(settings, store, definitions)
    runs = Runs(store, definitions, clock, hub, door)
    connections = Connections(store, sealing := Sealing(store, master_keys(settings), clock), _verify, clock)
    at_work: Actions = ConnectedActions(actions, connections)
    traced = tracing(store, door, at_work)
    at_work = at_work if traced is None else traced.actions
    access, events = Access(store, clock), Events(store, clock)
    engine = Engine(store, door, at_work, clock, _engine_settings(settings))
    temporal = on_temporal(settings, store, door, at_work, clock)
    if settings.engine:
        runs.place = engine.place
        events.on_event.append(engine.look)
    if temporal is not None:
        runs.name_job = temporal.dispatcher.name_job
        events.on_event.append(temporal.dispatcher.look)
    watch = Watch(settings, store, hub, engine, temporal)
    store.on_commit += [hub.publish, watch.metrics.on_commit]
    store.on_transaction.append(watch.metrics.on_transaction)
    doors = Doors(
        runs=runs,
        decisions=Decisions(store, door),
        automations=Automations(store, definitions, sealing, clock),
        triggers=Triggers(store, clock),
        webhooks=Webhooks(store, runs, sealing, clock),
        access=access,
        connections=connections,
        retention=Retention(store, clock, door.attachments),
        events=events,
        actions=actions,
        health=watch.health,
        clock=clock,
        metrics=watch,
    )
    tenant_id = await _organization(settings, access)
    app = create_app(doors, heartbeat_seconds=settings.heartbeat_seconds)
    schedules = Schedules(store, runs, clock, settings.poll_seconds)
    traces = None if traced is None else traced.traces
    return System(settings, store, doors, engine, temporal, schedules, traces, tenant_id, app)


def master_keys(settings: Settings) -> MasterKeys:
    """The deployment's master keys. Raises CannotServe."""
    try:
        return MasterKeys(settings.secret_key, settings.data_dir / "secret.key")
    except BadMasterKey as reason:
        raise CannotServe(str(reason)) from reason


def _door(settings: Settings, store: Store, definitions: Definitions) -> Door:
    door = Door(store, definitions, clock)
    bounds = FileBounds(settings.artifacts_per_step, settings.artifacts_step_bytes)
    door.attachments = Attachments(store, contents_of(settings), clock, bounds)
    return door


async def _verify(connection: Connection) -> Verdict:
    return Verdict(*await try_connection(connection))


def _engine_settings(settings: Settings) -> EngineSettings:
    return EngineSettings(
        lease_seconds=settings.lease_seconds,
        renew_seconds=settings.renew_seconds,
        poll_seconds=settings.poll_seconds,
        drain_seconds=settings.drain_seconds,
        orchestrators=served_here(settings),
        retention_days=settings.retention_days,
        labels=settings.worker_labels,
    )


async def _organization(settings: Settings, access: Access) -> str:
    """The id of the organization `default`, with its admin key."""
    tenant_id = await access.default_organization()
    await _admin_key(settings, access, tenant_id)
    return tenant_id


async def _admin_key(settings: Settings, access: Access, tenant_id: str) -> None:
    """The key that the CLI on this machine uses: made on the first start, readable by its owner alone.

    The file counts: its key is also let into a database that does not know it yet, such as a second one.
    """
    path = settings.data_dir / "admin.key"
    if not path.exists():
        _write_once(path, new_key() + "\n")
    await access.admit(_secret_in(path), tenant_id, "admin")


def _secret_in(path: Path) -> str:
    try:
        secret = path.read_text(errors="replace").strip()
    except OSError as error:
        advice = "Move it away, and a new key is made at the next start."
        raise CannotServe(f"The admin key {path} cannot be read: {error.strerror}. {advice}") from error
    if not secret:
        raise CannotServe(f"{path} is empty. Remove it, and a new key is made at the next start.")
    if not (secret.isascii() and secret.isprintable()):
        raise CannotServe(f"{path} does not hold an API key. Move it away, and a new key is made at the next start.")
    return secret


def _write_once(path: Path, text: str) -> None:
    """Make the file with its whole content and for its owner alone, unless another process was faster."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
