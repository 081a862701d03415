"""Schedules start runs: one for each due time, whoever looks, whoever dies, whatever was missed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import Clock, World
from vai.automations import AutomationPatch, NewAutomation, Triggers
from vai.ports import RunRecord, TriggerRecord
from vai.runs import NotFound
from vai.triggers import Schedules

MINUTE = 60_000
STEPS = [{"key": "a", "kind": "wait", "definition": {"seconds": 0}}]


def every_minute(**more: Any) -> dict[str, Any]:
    return {"triggers": [{"type": "schedule", "schedule": "* * * * *", **more}], "steps": STEPS}


async def publish(world: World, config: dict[str, Any]) -> TriggerRecord:
    """The trigger of a published automation."""
    view = await world.automations.create(world.who, NewAutomation(f"scheduled {id(config)}", config))
    await world.automations.publish(world.who, view.record.id, 1)
    return await trigger_of(world, view.record.id)


async def trigger_of(world: World, automation_id: str) -> TriggerRecord:
    (trigger,) = await world.store.triggers(world.who.tenant_id, automation_id)
    return trigger


def looking(world: World) -> Schedules:
    return Schedules(world.store, world.runs, world.clock, poll_seconds=0.02)


def turn_to(clock: Clock, at: int) -> None:
    clock.ahead += at - clock()


async def started(world: World, trigger: TriggerRecord) -> list[RunRecord]:
    """The runs of its automation, oldest first."""
    page = await world.runs.list(world.who, [], 1000, 0, trigger.automation_id)
    return list(reversed(page.items))


async def due_times(world: World, trigger: TriggerRecord) -> list[int]:
    """What the runs' keys say of when they were due."""
    found = []
    for run in await started(world, trigger):
        loaded = await world.store.load(run.id)
        assert loaded is not None
        found.append(loaded.trigger["dueAt"])
    return found


async def test_a_due_time_starts_a_run_that_tells_of_it(world: World, clock: Clock) -> None:
    config = every_minute(input={"n": 1}, key="often")
    config["steps"] = [
        {"key": "a", "kind": "wait", "definition": {"seconds": "{{ trigger.dueAt == '' || input.n != 1 ? 9 : 0 }}"}}
    ]
    trigger = await publish(world, config)
    assert trigger.next_due_at is not None
    assert trigger.next_due_at % MINUTE == 0
    schedules = looking(world)
    await schedules.look()
    assert await started(world, trigger) == []
    turn_to(clock, trigger.next_due_at)
    await schedules.look()
    await schedules.look()
    (run,) = await started(world, trigger)
    run = await world.end(run.id)
    assert (run.status, run.trigger_type, run.trigger_source_type) == ("completed", "schedule", "schedule")
    assert run.trigger_source_id == trigger.id
    created, *_ = await world.runs.events(world.who, run.id, 0, 1)
    assert '"trigger":{"key":"often","dueAt":"' in created.data
    after = await trigger_of(world, trigger.automation_id)
    assert (after.last_due_at, after.last_run_id, after.last_error) == (trigger.next_due_at, run.id, None)
    assert after.next_due_at == trigger.next_due_at + MINUTE


async def test_it_fires_by_itself_when_its_time_comes(world: World, clock: Clock) -> None:
    schedules, accepted = looking(world), asyncio.Event()
    world.store.on_commit.append(lambda *_: accepted.set())
    schedules.start()
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at - 50)
    async with asyncio.timeout(30):
        await accepted.wait()
    await schedules.stop()
    (run,) = await started(world, trigger)
    assert run.created_at >= trigger.next_due_at


async def test_several_processes_start_one_run_for_each_due_time(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world() as one, open_world(engine=False) as two:
        trigger = await publish(one, every_minute(catchUp="all"))
        assert trigger.next_due_at is not None
        lookers = [looking(world) for world in (one, two, one, two)]
        turn_to(clock, trigger.next_due_at + 4 * MINUTE)
        for _ in range(8):
            await asyncio.gather(*(looker.look() for looker in lookers))
        found = await due_times(one, trigger)
    assert len(found) == len(set(found)) == 5


async def test_killed_between_the_start_and_the_next_time(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at)

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "advance_trigger", killed)
        with pytest.raises(Killed):
            await looking(world).look()
    (run,) = await started(world, trigger)
    await looking(world).look()
    assert [one.id for one in await started(world, trigger)] == [run.id]
    after = await trigger_of(world, trigger.automation_id)
    assert (after.last_run_id, after.next_due_at) == (run.id, trigger.next_due_at + MINUTE)


async def test_killed_so_and_published_with_another_input_meanwhile(world: World, clock: Clock) -> None:
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at)
    await looking(world).look()
    (run,) = await started(world, trigger)
    # As if the process had died before it moved the trigger on.
    await world.store.set_paused(trigger, False, trigger.next_due_at)
    await publish_again(world, trigger, every_minute(input={"n": 2}))
    await looking(world).look()
    assert [one.id for one in await started(world, trigger)] == [run.id]
    after = await trigger_of(world, trigger.automation_id)
    assert (after.last_run_id, after.last_error, after.next_due_at) == (run.id, None, trigger.next_due_at + MINUTE)


async def publish_again(world: World, trigger: TriggerRecord, config: dict[str, Any]) -> None:
    await world.automations.update(world.who, trigger.automation_id, AutomationPatch(config=config))
    newest, *_ = await world.automations.versions(world.who, trigger.automation_id)
    await world.automations.publish(world.who, trigger.automation_id, newest.number)


@pytest.mark.parametrize(("catch_up", "made_up"), [("none", 0), ("latest", 1), ("all", 10)])
async def test_what_a_downtime_missed(world: World, clock: Clock, catch_up: str, made_up: int) -> None:
    config = every_minute(catchUp=catch_up)
    config["triggers"][0]["schedule"] = "*/5 * * * *"
    trigger = await publish(world, config)
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at + 9 * 5 * MINUTE + 2 * MINUTE)
    schedules = looking(world)
    for _ in range(12):
        await schedules.look()
    runs = await started(world, trigger)
    assert len(runs) == made_up
    after = await trigger_of(world, trigger.automation_id)
    assert after.next_due_at == trigger.next_due_at + 10 * 5 * MINUTE
    assert after.last_due_at == (trigger.next_due_at + 9 * 5 * MINUTE if made_up else None)


async def test_a_little_late_is_not_missed(world: World, clock: Clock) -> None:
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at + 3 * MINUTE + 20_000)
    schedules = looking(world)
    await schedules.look()
    await schedules.look()
    after = await trigger_of(world, trigger.automation_id)
    assert after.last_due_at == trigger.next_due_at + 3 * MINUTE
    assert len(await started(world, trigger)) == 1


@pytest.mark.parametrize(("catch_up", "made_up"), [("none", 0), ("latest", 1), ("all", 3)])
async def test_a_pause(world: World, clock: Clock, catch_up: str, made_up: int) -> None:
    triggers, schedules = Triggers(world.store, world.clock), looking(world)
    trigger = await publish(world, every_minute(catchUp=catch_up))
    assert trigger.next_due_at is not None
    assert (await triggers.pause(world.who, trigger.id)).is_paused
    # Another version does not end it.
    await publish_again(world, trigger, every_minute(catchUp=catch_up, input={"n": 2}))
    turn_to(clock, trigger.next_due_at + 2 * MINUTE + 30_000)
    await schedules.look()
    assert await started(world, trigger) == []
    resumed = await triggers.resume(world.who, trigger.id)
    assert (resumed.id, resumed.is_paused) == (trigger.id, False)
    for _ in range(5):
        await schedules.look()
    assert len(await started(world, trigger)) == made_up
    turn_to(clock, trigger.next_due_at + 3 * MINUTE)
    await schedules.look()
    assert len(await started(world, trigger)) == made_up + 1


async def test_an_archived_or_removed_automation_fires_nothing(world: World, clock: Clock) -> None:
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    await world.automations.archive(world.who, trigger.automation_id, 1)
    turn_to(clock, trigger.next_due_at)
    await looking(world).look()
    assert await started(world, trigger) == []
    await world.automations.delete(world.who, trigger.automation_id)
    with pytest.raises(NotFound):
        await Triggers(world.store, world.clock).get(world.who, trigger.id)


async def test_a_draft_fires_nothing_and_a_new_time_counts_from_its_publication(world: World, clock: Clock) -> None:
    trigger = await publish(world, every_minute())
    changed = every_minute()
    changed["triggers"][0]["schedule"] = "30 4 1 1 *"
    await world.automations.update(world.who, trigger.automation_id, AutomationPatch(config=changed))
    assert await trigger_of(world, trigger.automation_id) == trigger
    await world.automations.publish(world.who, trigger.automation_id, 2)
    after = await trigger_of(world, trigger.automation_id)
    assert after.id == trigger.id
    assert after.next_due_at is not None
    assert after.next_due_at > clock()
    assert (after.next_due_at - 4 * 60 * MINUTE - 30 * MINUTE) % (24 * 60 * MINUTE) == 0


async def test_a_time_that_is_due_is_not_lost_when_another_version_becomes_active(world: World, clock: Clock) -> None:
    trigger = await publish(world, every_minute())
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at)
    await publish_again(world, trigger, every_minute(input={"n": 2}))
    await looking(world).look()
    (run,) = await started(world, trigger)
    assert run.version_number == 2


async def test_a_reason_why_no_run_was_started_is_told_and_it_goes_on(world: World, clock: Clock) -> None:
    config = every_minute()
    config["concurrency"] = {"key": "{{ input.missing }}"}
    trigger = await publish(world, config)
    assert trigger.next_due_at is not None
    turn_to(clock, trigger.next_due_at)
    assert await looking(world).look()
    after = await trigger_of(world, trigger.automation_id)
    assert after.last_error is not None
    assert "concurrency key cannot be had" in after.last_error
    assert (after.last_due_at, after.next_due_at) == (trigger.next_due_at, trigger.next_due_at + MINUTE)


async def test_overlap_is_for_the_concurrency_rule_to_say(world: World, clock: Clock) -> None:
    config = every_minute()
    config["concurrency"] = {"key": f"nightly {id(config)}", "onConflict": "skip"}
    config["steps"] = [{"key": "a", "kind": "wait", "definition": {"seconds": 3600}}]
    trigger = await publish(world, config)
    assert trigger.next_due_at is not None
    for minute in range(2):
        turn_to(clock, trigger.next_due_at + minute * MINUTE)
        await looking(world).look()
    (run,) = await started(world, trigger)
    after = await trigger_of(world, trigger.automation_id)
    assert after.last_run_id == run.id
    assert after.last_error is not None
    assert "skips others" in after.last_error
    await world.runs.cancel(world.who, run.id)
    await world.end(run.id)
    turn_to(clock, trigger.next_due_at + 2 * MINUTE)
    await looking(world).look()
    assert len(await started(world, trigger)) == 2
