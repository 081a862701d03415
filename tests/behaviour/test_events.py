"""Steps that wait for an event of the organization, whoever drives their runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import Clock, World
from vai.access import Principal
from vai.domain.status import RetryMode, RunStatus, StepStatus
from vai.events import NewEvent
from vai.ports import EventFilter, TenantEvent

DAY_MS = 24 * 3600 * 1000


def wait(key: str = "paid", event: str = "order.paid", **definition: Any) -> dict[str, Any]:
    return step(key, "wait", definition={"event": event, **definition})


OF_ORDER = "event.payload.order == input.order"


async def tell(world: World, payload: Any = None, event: str = "order.paid") -> TenantEvent:
    return (await world.events.post(world.who, NewEvent(event, payload)))[0]


async def waiting(world: World, run_id: str, key: str = "paid") -> None:
    await world.until(run_id, lambda event: event.type == "step.awaiting_event" and event.step_key == key)


async def test_the_event_that_matches_completes_the_step_and_is_its_result(world: World) -> None:
    after = step("after", "add", definition={"a": "{{ steps.paid.result.event.payload.amount }}", "b": 1})
    run_id = await world.start([wait(match=OF_ORDER), after], {"order": 7})
    await waiting(world, run_id)
    await tell(world, {"order": 8, "amount": 1})
    await tell(world, {"amount": 2})
    await tell(world, {"order": 7, "amount": 3}, "order.sent")
    told = await tell(world, {"order": 7, "amount": 41})
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    result = (await world.step(run_id, "paid")).result.value
    assert (result["timedOut"], result["event"]["id"], result["event"]["type"]) == (False, told.id, "order.paid")
    assert (await world.step(run_id, "after")).result.value == {"value": 42}


async def test_an_event_that_came_before_the_step_began_is_not_missed(world: World) -> None:
    slow = step("first", "wait", definition={"event": "go"})
    run_id = await world.start([slow, {**wait(match=OF_ORDER), "dependsOn": ["first"]}], {"order": 7})
    await waiting(world, run_id, "first")
    told = await tell(world, {"order": 7})
    await tell(world, event="go")
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "paid")).result.value["event"]["id"] == told.id


async def test_since_step_counts_only_what_comes_after(world: World, clock: Clock) -> None:
    first = step("first", "wait", definition={"event": "go"})
    run_id = await world.start([first, {**wait(since="step"), "dependsOn": ["first"]}])
    await waiting(world, run_id, "first")
    await tell(world, "early")
    clock.ahead += 1_000
    await tell(world, event="go")
    await waiting(world, run_id)
    late = await tell(world, "late")
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "paid")).result.value["event"]["id"] == late.id


async def test_an_event_from_before_the_run_does_not_count(world: World, clock: Clock) -> None:
    await tell(world, "before")
    clock.ahead += 1_000
    run_id = await world.start([wait()])
    await waiting(world, run_id)
    told = await tell(world, "after")
    await world.end(run_id)
    assert (await world.step(run_id, "paid")).result.value["event"]["id"] == told.id


async def test_one_event_moves_every_run_that_waits_for_it_and_no_other_organization(world: World) -> None:
    runs = [await world.start([wait()]) for _ in range(3)]
    for run_id in runs:
        await waiting(world, run_id)
    await world.store.create_organization("01890a5d-ac96-774b-bcce-b302099a8057", "Other", "other", world.clock())
    stranger = Principal("01890a5d-ac96-774b-bcce-b302099a8057", "user", "stranger", "admin")
    theirs, _ = await world.events.post(stranger, NewEvent("order.paid", "theirs"))
    ours = await tell(world, "ours")
    for run_id in runs:
        assert (await world.end(run_id)).status is RunStatus.COMPLETED
        assert (await world.step(run_id, "paid")).result.value["event"]["id"] == ours.id
    assert theirs.id != ours.id


@pytest.mark.parametrize("on_timeout, status", [("fail", RunStatus.FAILED), ("complete", RunStatus.COMPLETED)])
async def test_what_does_not_come_in_time(world: World, clock: Clock, on_timeout: str, status: RunStatus) -> None:
    run_id = await world.start([wait(timeout="1d", onTimeout=on_timeout)])
    await waiting(world, run_id)
    clock.ahead += DAY_MS
    assert (await world.end(run_id)).status is status


async def test_cancel_and_retry_wait_anew(world: World) -> None:
    run_id = await world.start([wait()])
    await waiting(world, run_id)
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    seen = len(await world.types(run_id))
    await tell(world, "between")
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    await world.until(run_id, lambda event: event.type == "step.awaiting_event", after=seen)
    told = await tell(world, "anew")
    assert (await world.end(run_id, after=seen)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "paid")).result.value["event"]["id"] == told.id


async def test_what_happens_while_nobody_drives_is_brought_later(open_world: OpenWorld) -> None:
    async with open_world() as world:
        run_id = await world.start([wait(match=OF_ORDER)], {"order": 7})
        await waiting(world, run_id)
    async with open_world(engine=False) as world:
        told = await tell(world, {"order": 7})
    async with open_world() as world:
        assert (await world.end(run_id)).status is RunStatus.COMPLETED
        assert (await world.step(run_id, "paid")).result.value["event"]["id"] == told.id


async def test_an_element_of_for_each_waits_for_its_own_event(world: World) -> None:
    each = {**wait(match="event.payload.order == item"), "forEach": "{{ input.orders }}"}
    run_id = await world.start([each], {"orders": [1, 2]})
    for place in (0, 1):
        await waiting(world, run_id, f"paid[{place}]")
    for order in (2, 1):
        await tell(world, {"order": order})
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    items = (await world.step(run_id, "paid")).result.value["items"]
    assert [item["event"]["payload"]["order"] for item in items] == [1, 2]


async def test_a_large_event_is_an_artifact(world: World) -> None:
    run_id = await world.start(
        [wait(), step("after", "add", definition={"a": "{{ size(steps.paid.result.event.payload) }}", "b": 0})]
    )
    await waiting(world, run_id)
    await tell(world, "x" * 100_000)
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "paid")).result.truncated
    assert (await world.step(run_id, "after")).result.value == {"value": 100_000}


async def test_what_match_names_is_bounded(world: World) -> None:
    run_id = await world.start([wait(match="event.payload == input")], {"text": "x" * 100_000})
    assert (await world.end(run_id)).status is RunStatus.FAILED
    assert (await world.step(run_id, "paid")).error.type == "match_too_large"


async def test_explain_says_what_is_waited_for(world: World) -> None:
    run_id = await world.start([wait(match=OF_ORDER, timeout="1h")], {"order": 7})
    await waiting(world, run_id)
    reasons = (await world.runs.explain(world.who, run_id)).reasons
    (reason,) = [reason for reason in reasons if reason.step_key == "paid"]
    assert reason.sentence == f"It waits for an event order.paid for which {OF_ORDER} holds."
    assert reason.until is not None


async def test_the_log_tells_what_became_of_a_run_and_of_its_children(world: World) -> None:
    child = [step("sum", "add", definition={"a": 1, "b": 1})]
    await world.start(child)
    called = (await world.automations.list(world.who, (), 1, 0)).items[0].record.name
    run_id = await world.start([step("call", "call_automation", definition={"automation": called})])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    child_run_id = (await world.step(run_id, "call")).child_run_id
    page = await world.events.list(EventFilter(world.who.tenant_id, correlation_id=run_id))
    told = [(event.event_type, event.resource_id) for event in reversed(page.items)]
    assert sorted(told[:2]) == sorted([("automation.triggered", run_id), ("automation.triggered", child_run_id)])
    assert told[2:] == [("automation.completed", child_run_id), ("automation.completed", run_id)]
    triggered = page.items[-1]
    assert (triggered.actor_type, triggered.actor_id) == ("user", "tester")
    assert triggered.payload["triggerType"] == "manual"
    assert StepStatus.COMPLETED is (await world.step(run_id, "call")).status
