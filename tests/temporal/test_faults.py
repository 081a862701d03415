"""What breaks on the way: workers that die, a server that is away, changes that nobody handed on."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld, TemporalWorld, opener
from tests.engine.conftest import Clock
from tests.temporal.conftest import Server
from tests.temporal.processes import workers
from tests.temporal_server import BINARY, TemporalServer
from vai.domain.interrupts import MAX_INTERRUPTS
from vai.domain.status import RunStatus
from vai.temporal import TemporalSettings
from vai.temporal.messages import workflow_id

pytestmark = pytest.mark.temporal


@pytest.fixture
def settings(settings: TemporalSettings) -> TemporalSettings:
    """A worker is taken for dead soon."""
    return replace(settings, heartbeat_seconds=1.0)


async def test_a_worker_killed_in_the_middle_loses_nothing(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    steps = [step("one", "tell", definition={"ledger": str(ledger)}), step("two", "until_stopped", "one")]
    steps.append(step("beside", "tell", "one", definition={"ledger": str(ledger)}))
    async with open_world(engine=False) as idle, workers(tmp_path, settings) as (doomed,):
        run_id = await idle.start(steps)
        await idle.until(run_id, lambda e: e.type == "step.log")
        await idle.until(run_id, lambda e: e.type == "step.completed" and e.step_key == "beside")
        doomed.kill()
        await doomed.wait()
        async with open_world() as next_one:
            # One at work is interrupted and begins again: its second try logs once more.
            await next_one.until(run_id, lambda e: e.type == "step.interrupted")
            await next_one.until(run_id, lambda e: e.type == "step.started" and '"tryNumber":2' in e.data)
            await next_one.runs.cancel(next_one.who, run_id)
            assert (await next_one.end(run_id)).status is RunStatus.CANCELLED
            types = await next_one.types(run_id)
    assert [types.count(f"step.started {key}") for key in ("one", "beside", "two")] == [1, 1, 2]
    assert len(ledger.read_text().splitlines()) == 2


@pytest.mark.slow
async def test_a_step_that_kills_its_worker_every_time_fails_and_ends_the_matter(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    async with open_world(engine=False) as idle, workers(tmp_path, settings, MAX_INTERRUPTS + 1) as started:
        run_id = await idle.start([step("poison", "die")])
        assert (await idle.end(run_id)).status is RunStatus.FAILED
        poison = await idle.step(run_id, "poison")
        assert (poison.error.type, poison.interrupts) == ("interrupted", MAX_INTERRUPTS)
        after = await idle.start([step("one", "noop")])
        assert (await idle.end(after)).status is RunStatus.COMPLETED
        assert sum(process.returncode is None for process in started) == 1


async def test_a_worker_that_is_stopped_hands_its_steps_on_and_ends_cleanly(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    async with open_world(engine=False) as idle, workers(tmp_path, settings) as (worker,):
        run_id = await idle.start([step("one", "until_stopped")])
        await idle.until(run_id, lambda e: e.type == "step.log")
        worker.terminate()
        assert await worker.wait() == 0
        async with open_world() as next_one:
            told = await next_one.until(run_id, lambda e: e.type == "step.interrupted")
            assert "engine_stopped" in told.data
            await next_one.until(run_id, lambda e: e.type == "step.started" and '"tryNumber":2' in e.data)
            await next_one.runs.cancel(next_one.who, run_id)
            assert (await next_one.end(run_id)).status is RunStatus.CANCELLED


async def test_a_worker_that_is_stopped_gives_running_steps_their_time(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    patient = replace(settings, drain_seconds=60.0)
    async with open_world(engine=False) as idle, workers(tmp_path, patient) as (worker,):
        run_id = await idle.start([step("one", "until_there", definition={"path": str(gate)})])
        await idle.until(run_id, lambda e: e.type == "step.log")
        worker.terminate()
        async with open_world() as next_one:
            # It takes nothing more: what begins now, begins elsewhere.
            other = await next_one.start([step("one", "noop")])
            assert (await next_one.end(other)).status is RunStatus.COMPLETED
            gate.touch()
            assert (await next_one.end(run_id)).status is RunStatus.COMPLETED
            assert await worker.wait() == 0
            assert "step.interrupted one" not in await next_one.types(run_id)


async def test_runs_are_accepted_while_the_server_is_away_and_go_on_when_it_is_back(
    tmp_path: Path, clock: Clock, settings: TemporalSettings
) -> None:
    away = TemporalServer(tmp_path / "temporal.log", tmp_path / "temporal.db")
    opened = opener(tmp_path, clock, replace(settings, address=away.address))
    try:
        async with opened() as world:
            before = await world.start([step("one", "noop"), step("two", "until_stopped", "one")])
            beside = await world.start([step("one", "noop")])
            dropped = await world.start([step("one", "noop")])
            assert (await world.runs.cancel(world.who, dropped)).status is RunStatus.CANCELLED
            assert not await world.dispatcher.check()
            away.start()
            await world.until(before, lambda e: e.type == "step.log")
            assert await world.dispatcher.check()
            assert (await world.end(beside)).status is RunStatus.COMPLETED
            away.stop()  # in the middle of a run
            asked = await world.runs.cancel(world.who, before)
            assert asked.cancel_requested_at is not None
            after = await world.start([step("one", "noop")])
            away.start()
            assert (await world.end(after)).status is RunStatus.COMPLETED
            assert (await world.end(before)).status is RunStatus.CANCELLED
    finally:
        away.stop()


async def test_a_worker_tells_in_the_logs_format_that_the_server_is_away(
    tmp_path: Path, settings: TemporalSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAI_LOG_FORMAT", "json")
    away = TemporalServer(tmp_path / "temporal.log")
    log = tmp_path / "workers.log"
    try:
        async with workers(tmp_path, replace(settings, address=away.address)):
            await _until(lambda: "does not answer, and is tried again" in log.read_text())
            away.start()
            await _until(lambda: _is_polled(away.address, settings.task_queue))
            away.stop()
            await _until(lambda: "retried" in log.read_text())
    finally:
        away.stop()
    started, *lines = log.read_text().splitlines()
    assert started.startswith("vai works")
    assert {json.loads(line)["logger"] for line in lines} == {"vai.temporal", "temporalio.core"}


def _is_polled(address: str, queue: str) -> bool:
    command = [str(BINARY), "task-queue", "describe", "--task-queue", queue, "--address", address]
    described = subprocess.run(command, capture_output=True, check=False, text=True)
    return described.returncode == 0 and described.stdout.count("@") >= 2


async def test_a_server_that_loses_everything_begins_its_runs_anew(
    tmp_path: Path, clock: Clock, settings: TemporalSettings
) -> None:
    forgetful = TemporalServer(tmp_path / "temporal.log")
    forgetful.start()
    ledger = {"ledger": str(tmp_path / "ledger")}
    try:
        async with opener(tmp_path, clock, replace(settings, address=forgetful.address))() as world:
            run_id = await world.start([step("one", "tell", definition=ledger), step("two", "until_stopped", "one")])
            await world.until(run_id, lambda e: e.type == "step.log")
            forgetful.stop()
            forgetful.start()
            await world.until(run_id, lambda e: e.type == "step.started" and '"tryNumber":2' in e.data)
            await world.runs.cancel(world.who, run_id)
            assert (await world.end(run_id)).status is RunStatus.CANCELLED
            assert (await world.types(run_id)).count("step.started one") == 1
    finally:
        forgetful.stop()


async def test_a_worker_that_was_taken_for_dead_and_comes_back_reports_too_late(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    slow = step("slow", "tell", definition={"ledger": str(ledger), "seconds": 1.0})
    async with open_world(engine=False) as idle, workers(tmp_path, settings) as (paused,):
        run_id = await idle.start([slow, step("after", "noop", "slow")])
        await _until(lambda: ledger.exists() and ledger.read_text() != "")
        paused.send_signal(signal.SIGSTOP)
        async with open_world() as next_one:
            await next_one.until(run_id, lambda e: e.type == "step.interrupted")
            paused.send_signal(signal.SIGCONT)
            assert (await next_one.end(run_id)).status is RunStatus.COMPLETED
            types = await next_one.types(run_id)
    assert (types.count("step.started slow"), types.count("step.completed slow")) == (2, 1)
    assert len(ledger.read_text().splitlines()) == 2


async def test_what_a_worker_taken_for_dead_still_executes_is_ended(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    async with open_world(engine=False) as idle, workers(tmp_path, settings) as (paused,):
        run_id = await idle.start([step("one", "slow_to_end", definition={"path": str(ended)})])
        await idle.until(run_id, lambda e: e.type == "step.log")
        paused.send_signal(signal.SIGSTOP)
        async with open_world() as next_one:
            await next_one.until(run_id, lambda e: e.type == "step.started" and '"tryNumber":2' in e.data)
            assert not ended.exists()
            paused.send_signal(signal.SIGCONT)
            await _until(ended.exists)
            assert paused.returncode is None
            await next_one.runs.cancel(next_one.who, run_id)
            assert (await next_one.end(run_id)).status is RunStatus.CANCELLED


async def _until(true: Callable[[], bool]) -> None:
    """Give way until a fact outside the event stream is there; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_change_that_nobody_handed_on_gets_through(world: TemporalWorld, tmp_path: Path, clock: Clock) -> None:
    run_id = await world.start([step("one", "until_stopped")])
    await world.until(run_id, lambda e: e.type == "step.log")
    # A process that dies between its commit and its call, as a world without anything of Temporal does.
    async with opener(tmp_path, clock, None)(engine=False) as silent:
        await silent.runs.cancel(silent.who, run_id)
        late = await silent.start([step("one", "noop")])
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    assert (await world.end(late)).status is RunStatus.COMPLETED


async def test_a_workflow_that_an_operator_terminated_comes_back_with_an_interrupt_on_record(
    world: TemporalWorld, server: Server
) -> None:
    run_id = await world.start([step("one", "until_stopped")])
    await world.until(run_id, lambda e: e.type == "step.log")
    await server.client.get_workflow_handle(workflow_id(run_id)).terminate("by hand")
    await world.until(run_id, lambda e: e.type == "step.interrupted")
    await world.until(run_id, lambda e: e.type == "step.started" and '"tryNumber":2' in e.data)
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED


async def test_a_run_that_an_embedded_engine_holds_is_left_to_it(
    world: TemporalWorld, tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opener(tmp_path, clock, None)() as embedded:
        run_id = await embedded.start([step("one", "until_stopped")])
        await embedded.until(run_id, lambda e: e.type == "step.log")
        world.dispatcher._put(run_id, wake=True)
        marker = await world.start([step("one", "noop")])
        await world.end(marker)
        found = [e async for e in server.client.list_workflows(f"WorkflowId='{workflow_id(run_id)}'")]
        assert found == []
        await embedded.runs.cancel(embedded.who, run_id)
        assert (await embedded.end(run_id)).status is RunStatus.CANCELLED
