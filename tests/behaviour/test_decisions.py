"""What people decide, whoever drives their runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import Clock, World
from vai.access import Principal
from vai.domain.status import DecisionKind, DecisionStatus, RetryMode, RunStatus, StepStatus
from vai.ports import DecisionFilter, DecisionRecord
from vai.runs import AlreadyDecided, Answer

YES, NO = Answer(True), Answer(False, "not today")


def gate(key: str = "gate", *needs: str, **definition: Any) -> dict[str, Any]:
    return step(key, "approval_gate", *needs, definition={"title": "Go on?", **definition})


async def open_decision(world: World, run_id: str, after: int = 0) -> DecisionRecord:
    """The one that the run waits for."""
    await world.until(run_id, lambda event: event.type == "run.awaiting_approval", after)
    pending = DecisionFilter(world.who.tenant_id, [DecisionStatus.PENDING], run_id)
    (found,) = (await world.decisions.list(pending)).items
    return found


async def test_a_yes_goes_on_with_what_was_filled_in(world: World) -> None:
    fields = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    after = step("after", "add", definition={"a": "{{ steps.gate.result.fields.n }}", "b": 1})
    run_id = await world.start([gate(message="{{ input.n }} of them", fields=fields), after], {"n": 3})
    asked = await open_decision(world, run_id)
    assert (asked.message, (await world.runs.get(world.who, run_id)).status) == ("3 of them", "awaiting_approval")
    waiting = await world.step(run_id, "gate")
    assert (waiting.status, waiting.decision_id) == (StepStatus.AWAITING_APPROVAL, asked.id)
    decided = await world.decisions.decide(world.who, asked.id, Answer(True, "fine", {"n": 41}))
    assert (decided.status, decided.decided_by) == (DecisionStatus.APPROVED, "tester")
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "after")).result.value == {"value": 42}
    assert (await world.step(run_id, "gate")).result.value["by"] == "tester"


async def test_a_no_fails_and_a_retry_asks_again(world: World) -> None:
    run_id = await world.start([gate(), step("after", "noop", "gate"), step("beside", "noop")])
    asked = await open_decision(world, run_id)
    await world.decisions.decide(world.who, asked.id, NO)
    assert (await world.end(run_id)).status is RunStatus.FAILED
    assert (await world.step(run_id, "gate")).error.message == "not today"
    assert (await world.step(run_id, "after")).status is StepStatus.SKIPPED
    seen = len(await world.types(run_id))
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    again = await open_decision(world, run_id, seen)
    assert (again.id != asked.id, again.attempt) == (True, 2)
    with pytest.raises(AlreadyDecided):
        await world.decisions.decide(world.who, asked.id, YES)
    await world.decisions.decide(world.who, again.id, YES)
    assert (await world.end(run_id, seen)).status is RunStatus.COMPLETED


async def test_while_others_work_the_run_goes_on(world: World, tmp_path: Path) -> None:
    let_end = tmp_path / "end"
    run_id = await world.start([gate(), step("works", "until_there", definition={"path": str(let_end)})])
    await world.until(run_id, lambda event: event.type == "step.awaiting_approval")
    await world.until(run_id, lambda event: event.type == "step.log")
    assert (await world.runs.get(world.who, run_id)).status is RunStatus.RUNNING
    let_end.touch()
    asked = await open_decision(world, run_id)
    await world.decisions.decide(world.who, asked.id, YES)
    assert (await world.end(run_id)).status is RunStatus.COMPLETED


async def test_cancel_withdraws(world: World) -> None:
    run_id = await world.start([gate()])
    asked = await open_decision(world, run_id)
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    assert (await world.decisions.get(world.who, asked.id)).status is DecisionStatus.WITHDRAWN
    with pytest.raises(AlreadyDecided):
        await world.decisions.decide(world.who, asked.id, YES)


async def test_of_two_who_decide_at_once_one_counts(world: World) -> None:
    people = [Principal(world.who.tenant_id, "api_key", name, "admin", name) for name in ("alice", "bob")]
    run_ids = [await world.start([gate()]) for _ in range(5)]
    for run_id in run_ids:
        asked = await open_decision(world, run_id)
        answers = [world.decisions.decide(who, asked.id, said) for who, said in zip(people, (YES, NO), strict=True)]
        told = await asyncio.gather(*answers, return_exceptions=True)
        (winner,) = [one for one in told if isinstance(one, DecisionRecord)]
        (loser,) = [one for one in told if isinstance(one, AlreadyDecided)]
        assert loser.decision == winner == await world.decisions.get(world.who, asked.id)
        run = await world.end(run_id)
        assert (run.status is RunStatus.COMPLETED) == (winner.status is DecisionStatus.APPROVED)
        assert Counter(await world.types(run_id))["step.decided gate"] == 1


async def test_it_outlives_who_drove_it_and_expires_in_time(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world() as world:
        answered = await world.start([gate(expiresInSeconds=3_600)])
        forgotten = await world.start([gate(expiresInSeconds=3_600, onExpire="reject")])
        asked, late = [await open_decision(world, run_id) for run_id in (answered, forgotten)]
    async with open_world(engine=False) as world:  # nobody drives: a decision is taken all the same
        decided = await world.decisions.decide(world.who, asked.id, YES)
        assert decided.status is DecisionStatus.APPROVED
        clock.ahead = 3_601_000
    async with open_world() as world:
        assert (await world.end(answered)).status is RunStatus.COMPLETED
        assert (await world.end(forgotten)).status is RunStatus.FAILED
        assert (await world.step(forgotten, "gate")).error.type == "rejected"
        assert (await world.decisions.get(world.who, late.id)).status is DecisionStatus.EXPIRED


async def test_an_answer_that_comes_too_late_is_none(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world() as world:
        run_id = await world.start([gate(expiresInSeconds=3_600, onExpire="approve")])
        asked = await open_decision(world, run_id)
    async with open_world(engine=False) as world:
        clock.ahead = 3_601_000
        with pytest.raises(AlreadyDecided) as refused:
            await world.decisions.decide(world.who, asked.id, NO)
        assert refused.value.decision.status is DecisionStatus.EXPIRED
    async with open_world() as world:
        assert (await world.end(run_id)).status is RunStatus.COMPLETED


def lines_of(ledger: Path) -> int:
    return len(ledger.read_text().splitlines()) if ledger.exists() else 0


async def written(ledger: Path, lines: int) -> None:
    """Return when so many executions have begun."""
    async with asyncio.timeout(30):
        while lines_of(ledger) < lines:  # noqa: ASYNC110 (another process may write it)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("answer", "lines"), [(Answer(True, fields={"key": "told"}), 1), (NO, 2)])
async def test_of_an_interrupted_step_a_person_says_whether_it_had_happened(
    open_world: OpenWorld, tmp_path: Path, answer: Answer, lines: int
) -> None:
    ledger = tmp_path / "ledger"
    tell = step("tell", "tell", definition={"ledger": str(ledger), "seconds": 60}, onInterrupt="ask", graceSeconds=0)
    after = step("after", "noop", "tell", **{"if": "steps.tell.result.key == 'told'"})
    async with open_world() as world:
        run_id = await world.start([tell, after])
        await written(ledger, 1)
    async with open_world() as world:
        asked = await open_decision(world, run_id)
        assert (asked.kind, asked.title) == (DecisionKind.INTERRUPT, "Had tell happened?")
        await world.decisions.decide(world.who, asked.id, answer)
        if answer.approved:
            assert (await world.end(run_id)).status is RunStatus.COMPLETED
            assert (await world.step(run_id, "after")).status is StepStatus.COMPLETED
        else:
            await written(ledger, 2)
            await world.runs.cancel(world.who, run_id)
            await world.end(run_id)
        assert lines_of(ledger) == lines
