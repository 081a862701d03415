"""The composition root: builds every room from the settings and puts them together. Known by the CLI alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import uvicorn
import uvloop

from vai.access import Access, Principal
from vai.actions import BadActions, registry
from vai.api import Doors, create_app, end_streams
from vai.automations import AutomationPatch, Automations, NewAutomation
from vai.definition import InvalidDefinition
from vai.domain.status import RunStatus
from vai.engine import Engine, EngineSettings
from vai.ports import Actions, Store, StoreUnavailable
from vai.runs import Definitions, Door, EventHub, InvalidInput, Runs, StartRun
from vai.settings import Settings
from vai.storage import open_store

_log = logging.getLogger("vai")


class CannotServe(Exception):
    """The process cannot do what it was started for; the message is one sentence on why and what to do."""


@dataclass(frozen=True)
class System:
    """A running system: its rooms, put together."""

    settings: Settings
    store: Store
    doors: Doors
    engine: Engine
    tenant_id: str
    app: Any


def clock() -> int:
    """The present, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[System]:
    """Everything but the HTTP server, started; stopped in the opposite order. Raises CannotServe."""
    store, actions = _prepare(settings)
    try:
        await store.open()
    except StoreUnavailable as reason:
        raise CannotServe(str(reason)) from reason
    try:
        system = await _assemble(settings, store, actions)
        if settings.engine:
            await system.engine.start()
        try:
            yield system
        finally:
            if settings.engine:
                await system.engine.stop()
    finally:
        await store.close()


def _prepare(settings: Settings) -> tuple[Store, Actions]:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        actions = registry(settings.actions)
    except OSError as error:
        raise CannotServe(f"The data folder {settings.data_dir} cannot be used: {error.strerror}.") from error
    except BadActions as reason:
        raise CannotServe(str(reason)) from reason
    try:
        return open_store(settings.database, clock=clock), actions
    except ValueError as error:
        raise CannotServe(str(error)) from error


async def _assemble(settings: Settings, store: Store, actions: Actions) -> System:
    definitions = Definitions(actions)
    hub = EventHub(store)
    store.on_commit.append(hub.publish)
    runs = Runs(store, definitions, clock, hub)
    access = Access(store, clock)
    engine = Engine(
        store,
        Door(store, definitions, clock),
        actions,
        clock,
        EngineSettings(settings.lease_seconds, settings.renew_seconds, settings.poll_seconds, settings.drain_seconds),
    )
    if settings.engine:
        runs.place = engine.place

    async def health(deep: bool) -> Mapping[str, Any]:
        return {"status": "ok", **({"database": await store.check()} if deep else {})}

    doors = Doors(
        runs=runs,
        automations=Automations(store, definitions, clock),
        access=access,
        actions=actions,
        health=health,
        clock=clock,
    )
    tenant_id = await access.default_organization()
    await _admin_key(settings, access, tenant_id)
    app = create_app(doors, heartbeat_seconds=settings.heartbeat_seconds)
    return System(settings, store, doors, engine, tenant_id, app)


async def _admin_key(settings: Settings, access: Access, tenant_id: str) -> None:
    """The key that the CLI on this machine uses, made on the first start; readable by its owner alone."""
    path = settings.data_dir / "admin.key"
    if path.exists():
        return
    secret = await access.create_api_key(tenant_id, "admin")
    # Created with its mode, so that there is no moment in which others could read it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")


# --- vai serve ---------------------------------------------------------------------------------------------


def serve(settings: Settings) -> int:
    """Serve the API until SIGTERM or SIGINT; the exit code. Raises CannotServe."""
    _log_to_stderr(settings)
    listener = _listen(settings)
    with contextlib.closing(listener):
        uvloop.run(_serve(settings, listener))
    return 0


def _log_to_stderr(settings: Settings) -> None:
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What a server says of its own start and end is said by us already.
    for name in ("uvicorn", "httpx", "alembic"):
        logging.getLogger(name).setLevel(max(logging.WARNING, level))


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise CannotServe(
            f"Cannot listen on {where}: {error.strerror}. Stop what uses it, or choose another with --port."
        ) from error
    return listener


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with running(settings) as system:
        config = uvicorn.Config(
            system.app,
            http="httptools",
            loop="none",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=3,
            server_header=False,
        )
        server = uvicorn.Server(config)
        _stop_on_signals(system, server)
        _tell_where(settings, listener)
        await server.serve(sockets=[listener])


def _tell_where(settings: Settings, listener: socket.socket) -> None:
    """Write down the address for the CLI, and print it for people."""
    port = listener.getsockname()[1]
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    (settings.data_dir / "server.json").write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    print(f"vai serves {url} with its data in {settings.data_dir}", flush=True)


def _stop_on_signals(system: System, server: uvicorn.Server) -> None:
    """The first signal drains the engine while the API goes on answering; the second hurries it."""
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        if system.settings.engine:
            await system.engine.stop()
        # Open streams would keep the server from ending; their listeners resume by event number elsewhere.
        end_streams(system.app)
        server.should_exit = True

    def on_signal() -> None:
        if draining:
            system.engine.hurry()
            return
        if system.engine.steps_at_work:
            print(
                f"waiting for {system.engine.steps_at_work} running steps; once more to hand them back now", flush=True
            )
        draining.append(loop.create_task(drain()))

    # uvicorn would take the signals for itself and stop the API first.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


# --- vai run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunOutcome:
    """How a run in one process ended."""

    run_id: str
    status: RunStatus
    error: Mapping[str, Any] | None


def run_once(
    settings: Settings, name: str, config: Any, run_input: Any, on_event: Callable[[dict[str, Any]], None]
) -> RunOutcome:
    """Run an automation in this process without a server, on the same code; each event as the stream would give it.

    Ctrl-C cancels the run. Raises CannotServe, InvalidDefinition, InvalidInput.
    """
    return uvloop.run(_run_once(replace(settings, engine=True), name, config, run_input, on_event))


async def _run_once(
    settings: Settings, name: str, config: Any, run_input: Any, on_event: Callable[[dict[str, Any]], None]
) -> RunOutcome:
    async with running(settings) as system:
        who = Principal(system.tenant_id, "user", "local", "admin")
        doors = system.doors
        found = await doors.automations.by_name(who, name)
        if found is None:
            view = await doors.automations.create(who, NewAutomation(name, config, orchestrator_type="local"))
            number = 1
        else:
            view = found
            number = await _draft_with(doors.automations, who, view.record.id, config)
        await doors.automations.publish(who, view.record.id, number)
        created = await doors.runs.start(who, StartRun(view.record.id, input=run_input))
        return await _follow(system, who, created.run.id, on_event)


async def _draft_with(automations: Automations, who: Principal, automation_id: str, config: Any) -> int:
    await automations.update(who, automation_id, AutomationPatch(config=config))
    return (await automations.versions(who, automation_id))[0].number


async def _follow(
    system: System, who: Principal, run_id: str, on_event: Callable[[dict[str, Any]], None]
) -> RunOutcome:
    runs = system.doors.runs
    loop = asyncio.get_running_loop()
    cancels: list[asyncio.Task[Any]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: cancels.append(loop.create_task(runs.cancel(who, run_id))))
    async for batch in await runs.follow(who, run_id, 0):
        for event in batch.events:
            on_event(
                {
                    "seq": event.seq,
                    "type": event.type,
                    "runId": event.run_id,
                    "attempt": event.attempt,
                    "stepKey": event.step_key,
                    "occurredAt": event.occurred_at,
                    "data": json.loads(event.data),
                }
            )
    run = await runs.get(who, run_id)
    error = None if run.error is None else {"type": run.error.type, "message": run.error.message}
    return RunOutcome(run_id, run.status, error)


__all__ = ["CannotServe", "InvalidDefinition", "InvalidInput", "RunOutcome", "System", "run_once", "running", "serve"]
