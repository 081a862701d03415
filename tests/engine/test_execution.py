"""One execution of a step reports exactly once, whatever its action makes of the wish that it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from vai.domain import commands as c
from vai.domain.graph import Graph, StepSpec
from vai.domain.state import RunContext, RunState, StepState
from vai.execution import Execution, Journal, StepContext
from vai.ports import Fault


class Clings:
    """Swallows every cancellation until it is let go."""

    kind, title, description, extra, available = "clings", "Clings", "", None, True
    definition_schema: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.began, self.let_go = asyncio.Event(), asyncio.Event()

    def check(self, definition: Any) -> Sequence[Fault]:
        return ()

    async def run(self, definition: Any, context: Any) -> None:
        self.began.set()
        while not self.let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.let_go.wait()


async def begun(action: Clings) -> tuple[Execution, list[c.Report]]:
    """The action at work, and what it will have reported."""
    spec = StepSpec("a", "clings", grace_seconds=0.01)
    state = RunState("run", Graph.of([spec]), RunContext("tenant", "automation", 0), {"a": StepState("a", tries=1)})
    context = StepContext(state, spec, Journal(lambda: 0, lambda: None), asyncio.get_running_loop())
    reports: list[c.Report] = []
    execution = Execution(action, spec, None, context, reports.append)
    await action.began.wait()
    return execution, reports


async def ended(action: Clings, execution: Execution) -> None:
    action.let_go.set()
    await execution.task


async def test_what_swallows_its_cancellation_is_given_up_and_its_end_is_not_reported_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vai.execution.execution._LAST_SECONDS", 0.01)
    action = Clings()
    execution, reports = await begun(action)
    execution.stop()
    try:
        async with asyncio.timeout(30):
            while not reports:  # noqa: ASYNC110 - timers tell
                await asyncio.sleep(0.005)
        assert not execution.task.done()
    finally:
        await ended(action, execution)
    assert reports == [c.Stopped("a", 1, attempt=1)]


async def test_what_was_abandoned_reports_nothing() -> None:
    action = Clings()
    execution, reports = await begun(action)
    execution.abandon()
    await ended(action, execution)
    assert reports == []
