"""What a run is on the server: one thin workflow, whose history replays, stays small, and says nothing secret."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld, TemporalWorld
from tests.temporal.conftest import Server
from vai.automations import NewAutomation
from vai.domain.status import RetryMode, RunStatus
from vai.runs import StartRun
from vai.temporal.messages import CONVERTER, workflow_id
from vai.temporal.worker import workflow_runner
from vai.temporal.workflow import DRAINS_FROM, RunWorkflow

pytestmark = pytest.mark.temporal


async def test_a_run_is_one_workflow_that_its_external_job_id_names(world: TemporalWorld, server: Server) -> None:
    run_id = await world.start([step("one", "noop")])
    run = await world.end(run_id)
    assert run.external_job_id == workflow_id(run_id)
    handle = server.client.get_workflow_handle(workflow_id(run_id))
    await asyncio.wait_for(handle.result(), 10)
    assert len(await server.executions(run_id)) == 1


async def test_a_local_run_stays_with_the_embedded_engine(world: TemporalWorld, server: Server) -> None:
    new = NewAutomation("here", {"steps": [step("one", "noop")]}, orchestrator_type="local")
    automation = (await world.automations.create(world.who, new)).record.id
    await world.automations.publish(world.who, automation, 1)
    run_id = (await world.runs.start(world.who, StartRun(automation))).run.id
    run = await world.end(run_id)
    assert (run.status, run.external_job_id) == (RunStatus.COMPLETED, None)
    found = [e async for e in server.client.list_workflows(f"WorkflowId='{workflow_id(run_id)}'")]
    assert found == []


async def test_every_history_replays(world: TemporalWorld, server: Server, tmp_path: Path) -> None:
    """The workflow makes the same decisions from the same history: those of every kind of course of a run."""
    retry = {"maxAttempts": 2, "initialSeconds": 0.01, "jitter": False}
    middle = [step(f"m{i}", "noop", "a") for i in range(5)]
    done = await world.start([step("a", "fail", definition={"until_try": 2}, retry=retry), *middle])
    await world.end(done)
    failed = await world.start([step("gate", "fail_unless", definition={"path": str(tmp_path / "key")})])
    before = await world.end(failed)
    (tmp_path / "key").touch()
    await world.runs.retry(world.who, failed, RetryMode.FROM_FAILED, None)
    await world.end(failed, before.event_seq)
    cancelled = await world.start([step("one", "until_stopped"), step("w", "wait", definition={"seconds": 600})])
    await world.until(cancelled, lambda e: e.type == "step.log")
    await world.runs.cancel(world.who, cancelled)
    await world.end(cancelled)
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=workflow_runner(), data_converter=CONVERTER)
    for run_id in (done, failed, cancelled):
        await asyncio.wait_for(server.client.get_workflow_handle(workflow_id(run_id)).result(), 10)
        await replayer.replay_workflow(await server.history(run_id))


async def test_neither_inputs_nor_definitions_nor_large_results_are_in_the_history(
    world: TemporalWorld, server: Server, tmp_path: Path
) -> None:
    steps = [step("one", "large", definition={"size": "{{ input.size }}"})]
    steps.append(step("told", "tell", definition={"ledger": str(tmp_path / "b1g-s3cret")}))
    steps.append(step("two", "add", "one", definition={"a": "{{ size(steps.one.result.text) }}", "b": 0}))
    run_id = await world.start(steps, {"size": 200_000, "password": "t0p-s3cret"})
    await world.end(run_id)
    history = (await server.history(run_id)).to_json()
    assert (await world.step(run_id, "two")).result.value == {"value": 200_000}
    assert "s3cret" not in history
    assert len(history) < 64_000


async def test_a_long_history_is_continued_as_new_and_nothing_runs_twice(
    open_world: OpenWorld, server: Server, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    async with open_world(drain_events=60) as world:
        # A chain beside wide stages: at the limit several are at work, and more are ready to begin.
        stages = [
            step(f"s{i}x{k}", "tell", *([f"s{i - 1}x0"] if i else []), definition={"ledger": str(ledger)})
            for i in range(6)
            for k in range(8)
        ]
        run_id = await world.start(stages)
        assert (await world.end(run_id)).status is RunStatus.COMPLETED
        assert "step.interrupted" not in {kind.split()[0] for kind in await world.types(run_id)}
    assert sorted(line.split()[1] for line in ledger.read_text().splitlines()) == sorted(s["key"] for s in stages)
    await asyncio.wait_for(server.client.get_workflow_handle(workflow_id(run_id)).result(), 10)
    executions = await server.executions(run_id)
    assert len(executions) >= 2
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=workflow_runner(), data_converter=CONVERTER)
    for execution in executions:
        history = await server.history(run_id, execution)
        assert len(history.events) < 200
        await replayer.replay_workflow(history)


async def test_more_steps_than_may_be_at_work_at_once(world: TemporalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vai.temporal.workflow.FEW_RUNNING", 3)
    run_id = await world.start([step(f"s{i}", "noop") for i in range(20)])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED


async def test_steps_that_take_long_make_room_for_others(world: TemporalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vai.temporal.workflow.FEW_RUNNING", 2)
    run_id = await world.start([step(f"s{i}", "until_stopped") for i in range(5)])
    await _until(lambda: world.steps_at_work == 5)
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED


async def _until(true: Callable[[], bool]) -> None:
    """Give way until a fact outside the event stream is there; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_cancel_also_ends_steps_that_wait_for_room(world: TemporalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vai.temporal.workflow.FEW_RUNNING", 2)
    run_id = await world.start([step(f"s{i}", "until_stopped") for i in range(5)])
    await world.until(run_id, lambda e: e.type == "step.log")
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    assert (await world.types(run_id)).count("step.log s0") <= 1


@pytest.mark.slow
async def test_a_wide_run_ends_and_its_histories_stay_small(open_world: OpenWorld, server: Server) -> None:
    """`VAI_TEST_WIDTH=9998` makes it as wide as an automation may be: by hand, it takes most of a minute."""
    keys = [f"m{i}" for i in range(int(os.environ.get("VAI_TEST_WIDTH", "2000")))]
    async with open_world(heartbeat_seconds=30.0) as world:
        steps = [step("a", "noop"), *(step(key, "noop", "a") for key in keys), step("z", "noop", *keys)]
        run_id = await world.start(steps)
        run = await world.end(run_id)
        assert run.status is RunStatus.COMPLETED
        pages = [await world.runs.events(world.who, run_id, after, 1_000) for after in range(0, run.event_seq, 1_000)]
        await server.client.get_workflow_handle(workflow_id(run_id)).result()
    types = [event.type for page in pages for event in page]
    assert types.count("step.started") == types.count("step.completed") == len(keys) + 2
    for execution in await server.executions(run_id):
        handle = server.client.get_workflow_handle(workflow_id(run_id), run_id=execution)
        assert (await handle.describe()).history_length < DRAINS_FROM + 1_000
