"""The same rooms over one database, driven by the embedded engine or by a Temporal server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine.conftest import ACTIONS, Clock, World
from vai.actions import registry
from vai.engine import EngineSettings
from vai.execution import ConnectedActions
from vai.ports import Store
from vai.storage import open_store
from vai.temporal import Dispatcher, TemporalSettings, TemporalWorker


class EmbeddedWorld(World):
    """Driven by an engine in this process."""

    @property
    def steps_at_work(self) -> int:
        """How many steps are executed here."""
        return self.engine.steps_at_work

    @property
    def runs_held(self) -> int:
        """How many runs hold something here."""
        return self.engine.runs_held

    @contextlib.asynccontextmanager
    async def driving(self, engine: bool) -> AsyncIterator[None]:
        """While inside, runs are driven, if there is an `engine`."""
        if not engine:
            self.runs.place = lambda _: None
            yield
            return
        await self.engine.start()
        try:
            yield
        finally:
            await self.engine.stop(drain_seconds=0)


class TemporalWorld(World):
    """Driven by Temporal, with a dispatcher and a worker in this process; `local` runs by an engine."""

    def __init__(
        self, store: Store, clock: Clock, chosen: TemporalSettings, sources: Sequence[str], folder: Path
    ) -> None:
        super().__init__(store, clock, EngineSettings(poll_seconds=0.05, orchestrators=("local",)), sources, folder)
        actions = ConnectedActions(registry(sources), self.connections)
        self.dispatcher = Dispatcher(store, self.door, clock, chosen)
        self.worker = TemporalWorker(store, self.door, actions, clock, chosen)
        self.runs.name_job = self.dispatcher.name_job

    @property
    def steps_at_work(self) -> int:
        """How many steps are executed here."""
        return self.worker.steps_at_work

    @property
    def runs_held(self) -> int:
        """Nothing here holds a run but its steps at work."""
        return self.worker.steps_at_work

    @contextlib.asynccontextmanager
    async def driving(self, engine: bool) -> AsyncIterator[None]:
        """While inside, runs are handed on, and driven if there is an `engine`."""
        await self.dispatcher.start()
        if engine:
            await self.worker.start()
            await self.engine.start()
        try:
            yield
        finally:
            if engine:
                await self.worker.stop()
                await self.engine.stop(drain_seconds=0)
            await self.dispatcher.stop()


OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


def opener(folder: Path, clock: Clock, temporal: TemporalSettings | None) -> OpenWorld:
    """Opens worlds over one database file; `engine=False` gives one in which nothing drives runs."""

    @contextlib.asynccontextmanager
    async def opened(
        *, engine: bool = True, actions: Sequence[str] = (ACTIONS,), **settings: Any
    ) -> AsyncIterator[World]:
        store = open_store(f"sqlite:///{folder / 'vai.db'}", clock=clock)
        await store.open()
        world: EmbeddedWorld | TemporalWorld
        if temporal is None:
            world = EmbeddedWorld(store, clock, EngineSettings(**{"poll_seconds": 0.05, **settings}), actions, folder)
        else:
            world = TemporalWorld(store, clock, replace(temporal, **settings), actions, folder)
        await world.begin()
        try:
            async with world.driving(engine):
                yield world
        finally:
            await store.close()

    return opened


def settings_for(address: str, queue: str, **changes: Any) -> TemporalSettings:
    """Settings that make a test quick: a queue of its own, short times."""
    quick = TemporalSettings(address, task_queue=queue, heartbeat_seconds=3.0, drain_seconds=0.0, sweep_seconds=0.1)
    return replace(quick, **changes)
