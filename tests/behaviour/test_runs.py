"""What becomes of runs, whoever drives them, and what is on record afterwards."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import Clock, World
from vai.domain.refusals import NotFinal, NothingToRetry
from vai.domain.status import RetryMode, RunStatus, StepStatus
from vai.ports import Outcome, RunChange, RunRecord, StoreUnavailable
from vai.runs import StartRun


async def test_a_diamond_runs_in_order_with_one_commit_between_its_stages(world: World) -> None:
    middle = [step(f"m{i}", "noop", "a") for i in range(8)]
    run_id = await world.start([step("a", "noop"), *middle, step("z", "noop", *(s["key"] for s in middle))])
    run = await world.end(run_id)
    types = await world.types(run_id)
    assert run.status is RunStatus.COMPLETED
    assert run.started_at is not None
    assert run.completed_at is not None
    assert run.created_at <= run.started_at <= run.completed_at
    assert types[:4] == ["run.created", "run.started", "step.started a", "step.completed a"]
    assert types[-3:] == ["step.started z", "step.completed z", "run.completed"]
    # accepted; begun; a; at best all eight together, at worst each by itself; z
    assert run.version <= 4 + 8


async def test_what_a_step_answered_is_there_for_the_next_and_in_the_rows(world: World) -> None:
    adds = {"definition": {"a": "{{ input.n }}", "b": "{{ steps.one.result.value }}"}}
    run_id = await world.start([step("one", "add", definition={"a": 1, "b": 2}), step("two", "add", **adds)], {"n": 40})
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    two = await world.step(run_id, "two")
    assert two.result.value == {"value": 43}
    action_run = await world.runs.action_run(world.who, two.action_run_id)
    assert action_run.step.definition == {"a": 40, "b": 3}


async def test_an_expression_that_fails_fails_its_step_and_says_why(world: World) -> None:
    run_id = await world.start([step("one", "add", definition={"a": "{{ input.missing }}", "b": 1})], {})
    run = await world.end(run_id)
    error = (await world.step(run_id, "one")).error
    assert run.status is RunStatus.FAILED
    assert error.type == "expression_failed"
    assert "input.missing" in error.details["expression"]


async def test_a_failing_step_is_tried_again_and_the_run_completes(world: World) -> None:
    retry = {"maxAttempts": 3, "initialSeconds": 0.01, "jitter": False}
    run_id = await world.start([step("one", "fail", definition={"until_try": 3}, retry=retry)])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    types = await world.types(run_id)
    assert types.count("step.retry_scheduled one") == 2
    assert types.count("step.started one") == 3


async def test_a_failed_step_skips_what_needs_it_and_lets_the_rest_end(world: World) -> None:
    run_id = await world.start([step("bad", "fail"), step("after", "noop", "bad"), step("beside", "noop")])
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.failed_steps == ("bad",)
    assert (await world.step(run_id, "after")).status is StepStatus.SKIPPED
    assert (await world.step(run_id, "beside")).status is StepStatus.COMPLETED


async def test_a_time_limit_ends_a_step_that_ignores_it(world: World) -> None:
    run_id = await world.start([step("slow", "stubborn", timeoutSeconds=0.02, graceSeconds=0.02)])
    await world.end(run_id)
    error = (await world.step(run_id, "slow")).error
    assert (error.type, error.retryable) == ("timeout", True)


async def test_the_runs_time_limit_stops_what_is_at_work(world: World) -> None:
    run_id = await world.start([step("slow", "until_stopped"), step("next", "noop", "slow")], timeoutSeconds=0.05)
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.type == "timeout"
    assert (await world.step(run_id, "slow")).status is StepStatus.CANCELLED


@pytest.mark.parametrize("kind", ["until_stopped", "stubborn", "in_a_thread", "beyond_help"])
async def test_cancel_stops_what_is_at_work(world: World, kind: str) -> None:
    run_id = await world.start([step("one", kind, graceSeconds=0.05), step("two", "noop", "one")])
    await world.until(
        run_id, lambda e: e.type == ("step.log" if kind in ("until_stopped", "in_a_thread") else "step.started")
    )
    asked = await world.runs.cancel(world.who, run_id)
    assert asked.cancel_requested_at is not None
    run = await world.end(run_id)
    assert run.status is RunStatus.CANCELLED
    assert (await world.step(run_id, "two")).status is StepStatus.CANCELLED
    assert world.steps_at_work == 0
    again = await world.runs.cancel(world.who, run_id)
    assert (again.status, again.version) == (run.status, run.version)


async def test_cancel_kills_a_child_process_that_takes_no_notice(world: World, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    run_id = await world.start([step("one", "in_a_process", definition={"path": str(told)}, graceSeconds=0.1)])
    await world.until(run_id, lambda e: e.type == "step.started")
    await _until(lambda: told.exists() and told.read_text() != "")
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    assert _is_gone(int(told.read_text()))


async def _until(true: Callable[[], bool]) -> None:
    """Give way until a fact outside the event stream is there; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_cancel_while_backing_off_ends_at_once_and_the_timer_never_fires(world: World, clock: Clock) -> None:
    retry = {"maxAttempts": 5, "initialSeconds": 5, "jitter": False}
    run_id = await world.start([step("one", "fail", retry=retry)])
    await world.until(run_id, lambda e: e.type == "step.retry_scheduled")
    await world.runs.cancel(world.who, run_id)
    run = await world.end(run_id)
    clock.ahead += 60_000
    assert run.status is RunStatus.CANCELLED
    after = await world.start([step("other", "noop")])
    await world.end(after)
    assert (await world.types(run_id))[-1] == "run.cancelled"


async def test_cancel_before_it_began_ends_it_at_once(open_world: OpenWorld) -> None:
    async with open_world(engine=False) as idle:
        run_id = await idle.start([step("one", "noop")])
        run = await idle.runs.cancel(idle.who, run_id)
        assert run.status is RunStatus.CANCELLED
        assert run.started_at is None
        assert run.completed_at is not None


async def test_retry_from_failed_keeps_what_completed(world: World, tmp_path: Path) -> None:
    ledger, key = tmp_path / "ledger", tmp_path / "key"
    steps = [
        step("first", "tell", definition={"ledger": str(ledger)}),
        step("gate", "fail_unless", "first", definition={"path": str(key)}),
        step("last", "tell", "gate", definition={"ledger": str(ledger)}),
    ]
    run_id = await world.start(steps)
    failed = await world.end(run_id)
    assert failed.status is RunStatus.FAILED
    key.write_text("open")
    plan = await world.runs.retry_plan(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert [(step.key, step.action.value) for step in plan] == [
        ("first", "reuse"), ("gate", "rerun"), ("last", "rerun"),
    ]  # fmt: skip
    retried = await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert (retried.attempt, retried.completed_at) == (2, None)
    assert (await world.end(run_id, failed.event_seq)).status is RunStatus.COMPLETED
    assert [line.split()[1:3] for line in ledger.read_text().splitlines()] == [["first", "1"], ["last", "2"]]
    before = await world.runs.steps(world.who, run_id, 1)
    assert [view.state.status.value for view in before.steps] == ["completed", "failed", "skipped"]
    with pytest.raises(NothingToRetry):
        await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)


async def test_two_retries_at_once_make_one_attempt(world: World) -> None:
    run_id = await world.start([step("slow", "fail"), step("b", "noop")])
    await world.end(run_id)
    retries = [world.runs.retry(world.who, run_id, RetryMode.FULL, None) for _ in range(5)]
    answers = await asyncio.gather(*retries, return_exceptions=True)
    assert sum(isinstance(answer, RunRecord) for answer in answers) >= 1
    assert all(isinstance(answer, RunRecord | NotFinal) for answer in answers)
    types = await world.types(run_id)
    assert types.count("run.retried") == sum(isinstance(answer, RunRecord) for answer in answers)


async def test_a_short_wait_holds_nothing_and_ends_by_itself(world: World) -> None:
    run_id = await world.start([step("w", "wait", definition={"seconds": 0.05}), step("n", "noop", "w")])
    waiting = await world.until(run_id, lambda e: e.type == "step.waiting")
    run = await world.end(run_id)
    assert run.status is RunStatus.COMPLETED
    assert run.completed_at is not None
    assert run.completed_at - waiting.occurred_at >= 45


async def test_a_long_wait_is_put_down_and_picked_up_when_due(world: World, clock: Clock) -> None:
    run_id = await world.start([step("w", "wait", definition={"seconds": 3600}), step("n", "noop", "w")])
    await world.until(run_id, lambda e: e.type == "step.waiting")
    await _until(lambda: world.runs_held == 0)
    clock.ahead += 3_700_000
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert "step.interrupted w" not in await world.types(run_id)


async def test_an_engine_that_is_stopped_hands_its_runs_to_the_next(open_world: OpenWorld, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with open_world() as first:
        steps = [step("one", "tell", definition={"ledger": str(ledger)}), step("two", "until_stopped", "one")]
        run_id = await first.start([*steps, step("three", "noop", "two")])
        await first.until(run_id, lambda e: e.type == "step.log")
    async with open_world() as second:
        await second.until(
            run_id, lambda e: e.type == "step.started" and e.step_key == "two" and '"tryNumber":2' in e.data
        )
        types = await second.types(run_id)
        assert types.count("step.started one") == 1
        assert types.count("step.interrupted two") == 1
        assert types.count("step.started two") == 2
        await second.runs.cancel(second.who, run_id)
        assert (await second.end(run_id)).status is RunStatus.CANCELLED


async def test_lines_and_progress_are_events_in_their_place(world: World) -> None:
    run_id = await world.start([step("talk", "chatty", definition={"lines": 30})])
    await world.end(run_id)
    types = await world.types(run_id)
    assert types.count("step.log talk") == 30
    assert 1 <= types.count("step.progress talk") <= 30
    assert types.index("step.log talk") > types.index("step.started talk")
    assert types[-2:] == ["step.completed talk", "run.completed"]


async def test_lines_beyond_the_bound_are_dropped_and_counted(world: World) -> None:
    run_id = await world.start([step("talk", "chatty", definition={"lines": 3_000})])
    await world.end(run_id)
    events = [e for after in (0, 1000, 2000) for e in await world.runs.events(world.who, run_id, after, 1000)]
    kept = sum(e.type in ("step.log", "step.progress") for e in events)
    dropped = next(e for e in events if e.type == "step.log_dropped")
    assert kept <= 2_000
    assert int(dropped.data.split(":")[1].strip("} ")) > 900


async def test_a_large_result_is_kept_whole_beside_a_preview(world: World) -> None:
    steps = [step("big", "large", definition={"size": 100_000})]
    steps.append(step("next", "add", "big", definition={"a": "{{ size(steps.big.result.text) }}", "b": 0}))
    run_id = await world.start(steps)
    await world.end(run_id)
    big = await world.step(run_id, "big")
    assert big.result.truncated
    assert len(str(big.result.value)) < 10_000
    assert len(await world.content(big.result.artifact_id)) > 100_000
    assert (await world.step(run_id, "next")).result.value == {"value": 100_000}


@pytest.mark.parametrize("landed", [True, False])
async def test_a_commit_of_which_the_database_could_not_say_whether_it_landed_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """Every second commit is cut off: after it is durable, or before."""
    monkeypatch.setattr("vai.engine.driver._RETRY_SECONDS", 0.01)
    commit, calls = world.store.commit, itertools.count()

    async def cut_off(change: RunChange) -> Outcome:
        if next(calls) % 2:
            return await commit(change)
        if landed:
            await commit(change)
        raise StoreUnavailable("The connection was lost.")

    monkeypatch.setattr(world.store, "commit", cut_off)
    steps = [step("a", "noop"), *(step(f"m{i}", "noop", "a") for i in range(4)), step("z", "noop", "m0", "m3")]
    run_id = await world.start(steps)
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    types = await world.types(run_id)
    assert len(types) == len(set(types)), "something happened twice"
    assert "step.interrupted a" not in types


async def test_a_hundred_runs_at_once_all_end(world: World) -> None:
    steps = [step("a", "noop"), step("b", "noop", "a"), step("c", "noop", "b")]
    first = await world.start(steps)
    automation = (await world.runs.get(world.who, first)).automation_id
    started = await asyncio.gather(*(world.runs.start(world.who, StartRun(automation)) for _ in range(100)))
    runs = await asyncio.gather(*(world.end(created.run.id) for created in started))
    assert {run.status for run in runs} == {RunStatus.COMPLETED}


async def test_what_a_reused_step_answered_is_there_whole_in_the_next_attempt(world: World, tmp_path: Path) -> None:
    big = step("big", "large", definition={"size": 100_000})
    odd = step("odd", "odd", definition={"path": str(tmp_path), "fail": "{{ size(steps.big.result.text) > 0 }}"})
    after = step("after", "add", "odd", definition={"a": "{{ size(steps.big.result.text) }}", "b": 0})
    run_id = await world.start([big, odd, after])
    assert (await world.end(run_id)).status is RunStatus.FAILED
    (tmp_path / "mended").touch()
    seen = len(await world.types(run_id))
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert (await world.end(run_id, after=seen)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "after")).result.value == {"value": 100_000}
    reused = await world.step(run_id, "big")
    assert reused.attempt == 1
    assert len(await world.content(reused.result.artifact_id)) > 100_000


async def test_a_failed_steps_last_answer_is_not_seen_by_the_next_attempt(world: World, tmp_path: Path) -> None:
    odd = step("odd", "odd", definition={"path": str(tmp_path), "fail": True})
    run_id = await world.start([odd, step("after", "noop", "odd")])
    await world.end(run_id)
    assert (await world.step(run_id, "odd")).error is not None
    (tmp_path / "mended").touch()
    seen = len(await world.types(run_id))
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    await world.end(run_id, after=seen)
    now = await world.step(run_id, "odd")
    assert (now.status, now.error, now.attempt, now.tries) == (StepStatus.COMPLETED, None, 2, 1)
