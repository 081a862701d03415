"""A whole engine in the test's process, on a real SQLite file."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from vai.access import Access, Principal
from vai.actions import registry
from vai.automations import Automations, NewAutomation
from vai.connections import Connections, MasterKeys, Sealing, Verdict
from vai.domain.state import Instant
from vai.engine import Engine, EngineSettings
from vai.events import Events
from vai.execution import ConnectedActions
from vai.ports import Connection, RunRecord, Store, StoredEvent
from vai.runs import Attachments, Decisions, Definitions, Door, EventHub, Runs, StartRun
from vai.storage import open_store
from vai.storage.contents import LocalContents
from vai.wiring import clock as wall_clock

ACTIONS = str(Path(__file__).with_name("actions.py"))


class Clock:
    """The wall clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Instant:
        return wall_clock() + self.ahead


MASTER_KEYS = MasterKeys(base64.b64encode(b"k" * 32).decode(), Path("secret.key"))


async def _untried(_: Connection) -> Verdict:
    return Verdict(None, "Tests try none.")


class World:
    """One process's rooms over a store; several worlds may share one database file."""

    def __init__(
        self, store: Store, clock: Clock, settings: EngineSettings, sources: Sequence[str], folder: Path | None = None
    ) -> None:
        self.store = store
        self.clock = clock
        self.sealing = Sealing(store, MASTER_KEYS, clock)
        self.connections = Connections(store, self.sealing, _untried, clock)
        actions = ConnectedActions(registry(sources), self.connections)
        definitions = Definitions(actions)
        hub = EventHub(store)
        store.on_commit.append(hub.publish)
        self.door = door = Door(store, definitions, clock)
        if folder is not None:
            self.contents = LocalContents(folder / "artifacts")
            self.attachments = door.attachments = Attachments(store, self.contents, clock)
        self.runs = Runs(store, definitions, clock, hub, door)
        self.decisions = Decisions(store, door)
        self.automations = Automations(store, definitions, self.sealing, clock)
        self.access = Access(store, clock)
        self.events = Events(store, clock)
        self.engine = Engine(store, door, actions, clock, settings)
        self.events.on_event.append(self.engine.look)
        self.runs.place = self.engine.place
        self.who = Principal("", "user", "tester", "admin")
        self._names = 0

    async def begin(self) -> None:
        self.who = Principal(await self.access.default_organization(), "user", "tester", "admin")

    async def start(self, steps: Sequence[dict[str, Any]], run_input: Any = None, **config: Any) -> str:
        """Publish an automation of these steps and start it; the run's id."""
        self._names += 1
        new = NewAutomation(f"a{self._names}-{id(self)}", {"steps": list(steps), **config})
        view = await self.automations.create(self.who, new)
        await self.automations.publish(self.who, view.record.id, 1)
        return (await self.runs.start(self.who, StartRun(view.record.id, input=run_input))).run.id

    async def until(self, run_id: str, seen: Callable[[StoredEvent], bool], after: int = 0) -> StoredEvent:
        """The first event that `seen` is true of."""
        async for batch in await self.runs.follow(self.who, run_id, after):
            for event in batch.events:
                if seen(event):
                    return event
        raise AssertionError("the run ended without that event")

    async def end(self, run_id: str, after: int = 0) -> RunRecord:
        """The run when it is final."""
        async for _ in await self.runs.follow(self.who, run_id, after):
            pass
        return await self.runs.get(self.who, run_id)

    async def types(self, run_id: str) -> list[str]:
        """The types of the run's events, with the step's key."""
        events = await self.runs.events(self.who, run_id, 0, 1000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return [f"{e.type} {e.step_key}" if e.step_key else e.type for e in events]

    async def step(self, run_id: str, key: str) -> Any:
        """A step's state as the API would read it."""
        steps = await self.runs.steps(self.who, run_id)
        return next(view.state for view in steps.steps if view.state.key == key)

    async def content(self, artifact_id: str) -> bytes:
        """The whole content of an artifact."""
        record = await self.runs.artifact(self.who, artifact_id)
        pieces = await self.runs.artifact_content(record, 0, record.size_bytes - 1)
        return b"".join([piece async for piece in pieces])


OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_world(tmp_path: Path, clock: Clock) -> OpenWorld:
    """Opens worlds over the test's one database file; `engine=False` gives one that only serves the doors."""

    @contextlib.asynccontextmanager
    async def opened(
        *, engine: bool = True, actions: Sequence[str] = (ACTIONS,), **settings: Any
    ) -> AsyncIterator[World]:
        store = open_store(f"sqlite:///{tmp_path / 'vai.db'}", clock=clock)
        await store.open()
        world = World(store, clock, EngineSettings(**{"poll_seconds": 0.05, **settings}), actions)
        await world.begin()
        if engine:
            await world.engine.start()
        else:
            world.runs.place = lambda _: None
        try:
            yield world
        finally:
            if engine:
                await world.engine.stop(drain_seconds=0)
            await store.close()

    return opened


@pytest.fixture
async def world(open_world: OpenWorld) -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened
