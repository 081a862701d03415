"""Worlds on Temporal, and what the server has on record of their runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHistory

from tests.behaviour.worlds import OpenWorld, TemporalWorld, opener, settings_for
from tests.engine.conftest import Clock
from vai.temporal import TemporalSettings
from vai.temporal.messages import CONVERTER, workflow_id


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(temporal: str, tmp_path: Path) -> TemporalSettings:
    """Settings for a queue of the test's own."""
    return settings_for(temporal, str(tmp_path))


@pytest.fixture
def open_world(tmp_path: Path, clock: Clock, settings: TemporalSettings) -> OpenWorld:
    """Opens worlds over the test's one database file."""
    return opener(tmp_path, clock, settings)


@pytest.fixture
async def world(open_world: OpenWorld) -> AsyncIterator[TemporalWorld]:
    async with open_world() as opened:
        yield opened


class Server:
    """What the server has on record."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def executions(self, run_id: str) -> list[str]:
        """The ids of the executions of a run's workflow: the newest, and before it those that it continues."""
        first = await self.client.get_workflow_handle(workflow_id(run_id)).describe()
        ids = [first.run_id]
        while True:
            history = await self.history(run_id, ids[-1])
            before = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
            if not before:
                return ids
            ids.append(before)

    async def history(self, run_id: str, execution: str | None = None) -> WorkflowHistory:
        """The history of one execution."""
        return await self.client.get_workflow_handle(workflow_id(run_id), run_id=execution).fetch_history()


@pytest.fixture
async def server(temporal: str) -> Server:
    return Server(await Client.connect(temporal, data_converter=CONVERTER))
