"""Webhooks start runs: one for each delivery, whoever takes it, whoever dies, however often it comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests import signing
from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import Clock, World
from vai.automations import AutomationPatch, NewAutomation, PathTaken, Triggers
from vai.ports import BadSignature, Delivery, Receipt, RunRecord, TriggerRecord
from vai.runs import InvalidInput, NotFound
from vai.triggers import Webhooks

HOOK = {"type": "webhook", "path": "orders", "secret": signing.SECRET}
STEPS = [step("a", "add", definition={"a": "{{ payload.n }}", "b": 1})]


async def publish(world: World, name: str = "hooked", **config: Any) -> TriggerRecord:
    """The trigger of a published automation."""
    new = NewAutomation(name, {"triggers": [HOOK], "steps": STEPS, **config})
    view = await world.automations.create(world.who, new)
    await world.automations.publish(world.who, view.record.id, 1)
    return await trigger_of(world, view.record.id)


async def publish_again(world: World, trigger: TriggerRecord, **config: Any) -> None:
    patch = AutomationPatch(config={"triggers": [HOOK], "steps": STEPS, **config})
    await world.automations.update(world.who, trigger.automation_id, patch)
    newest = (await world.automations.versions(world.who, trigger.automation_id))[0]
    await world.automations.publish(world.who, trigger.automation_id, newest.number)


async def trigger_of(world: World, automation_id: str) -> TriggerRecord:
    (trigger,) = await world.store.triggers(world.who.tenant_id, automation_id)
    return trigger


def receiver(world: World) -> Webhooks:
    return Webhooks(world.store, world.runs, world.sealing, world.clock)


def signed(world: World, payload: Any = None, name: str = "msg_1", path: str = "orders") -> Delivery:
    body = json.dumps({"n": 1} if payload is None else payload).encode()
    return Delivery("default", path, signing.standard(body, world.clock() / 1000, name), body)


async def send(world: World, payload: Any = None, name: str = "msg_1") -> Receipt:
    return await receiver(world).receive(signed(world, payload, name))


async def started(world: World, trigger: TriggerRecord) -> list[RunRecord]:
    return list((await world.runs.list(world.who, [], 1000, 0, trigger.automation_id)).items)


async def test_a_delivery_starts_a_run_that_sees_it(world: World) -> None:
    config: dict[str, Any] = {"input": {"who": "{{ payload.who }}", "by": "{{ trigger.deliveryId }}"}}
    seen = {"a": "{{ payload.n }}", "b": "{{ input.by == 'msg_1' && trigger.key == 'webhook' ? 41 : 0 }}"}
    trigger = await publish(world, triggers=[HOOK | config], steps=[step("a", "add", definition=seen)])
    receipt = await send(world, {"n": 1, "who": "me"})
    assert receipt.outcome == "accepted"
    assert receipt.run_id is not None
    run = await world.end(receipt.run_id)
    assert (run.status, run.trigger_type, run.trigger_source_type) == ("completed", "webhook", "webhook")
    assert run.trigger_source_id == trigger.id
    assert (await world.step(run.id, "a")).result.value == {"value": 42}
    loaded = await world.store.load(run.id)
    assert loaded is not None
    assert (loaded.input, loaded.payload) == ({"who": "me", "by": "msg_1"}, {"n": 1, "who": "me"})
    after = await trigger_of(world, trigger.automation_id)
    assert (after.last_run_id, after.last_error) == (run.id, None)
    assert after.last_due_at is not None


async def test_the_same_delivery_answers_the_same_run(open_world: OpenWorld) -> None:
    async with open_world() as one, open_world(engine=False) as two:
        trigger = await publish(one)
        receipts = await asyncio.gather(*(send(world) for world in (one, two) * 4))
        assert len({receipt.run_id for receipt in receipts}) == 1
        assert sorted(receipt.outcome for receipt in receipts) == ["accepted", *["known"] * 7]
        assert (await send(two, name="msg_2")).outcome == "accepted"
        assert len(await started(one, trigger)) == 2


async def test_it_does_so_when_another_version_makes_another_input_of_it(world: World) -> None:
    trigger = await publish(world)
    first = await send(world)
    await publish_again(world, trigger, triggers=[HOOK | {"input": {"n": "{{ payload.n }}"}}])
    assert await send(world) == Receipt("known", first.run_id)
    assert (await trigger_of(world, trigger.automation_id)).id == trigger.id


async def test_killed_before_the_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = await publish(world)

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "tell_trigger", killed)
        with pytest.raises(Killed):
            await send(world)
    (run,) = await started(world, trigger)
    assert await send(world) == Receipt("known", run.id)


async def test_without_an_id_the_body_counts_for_a_while(world: World, clock: Clock) -> None:
    hook = {"type": "webhook", "path": "open", "signature": "none"}
    await publish(world, triggers=[hook])
    clock.ahead += 300_000 - clock() % 300_000  # the beginning of a window
    receipts = []
    for body, headers in [(b'{"n":1}', {}), (b'{"n":1}', {}), (b'{"n":2}', {}), (b'{"n":1}', {"webhook-id": "x"})]:
        receipts.append(await receiver(world).receive(Delivery("default", "open", headers, body)))
    clock.ahead += 300_000
    receipts.append(await receiver(world).receive(Delivery("default", "open", {}, b'{"n":1}')))
    assert [one.outcome for one in receipts] == ["accepted", "known", *["accepted"] * 3]


async def test_the_event_of_stripe_is_its_delivery(world: World) -> None:
    await publish(world, triggers=[HOOK | {"signature": "stripe"}])
    outcomes = []
    for name in ("evt_1", "evt_2", "evt_1"):
        body = json.dumps({"id": name, "n": 1}).encode()
        delivery = Delivery("default", "orders", signing.stripe(body, world.clock() / 1000), body)
        outcomes.append((await receiver(world).receive(delivery)).outcome)
    assert outcomes == ["accepted", "accepted", "known"]


async def test_what_does_not_match_starts_none(world: World) -> None:
    trigger = await publish(world, triggers=[HOOK | {"match": "payload.n > 1"}])
    assert await send(world, {"n": 1}) == Receipt("ignored", None)
    assert (await send(world, {"n": 2}, "msg_2")).outcome == "accepted"
    assert len(await started(world, trigger)) == 1


async def test_why_it_started_none_is_told(world: World) -> None:
    inputs = {"type": "object", "properties": {"n": {"type": "integer"}}}
    hook = HOOK | {"input": {"n": "{{ payload.n }}"}}
    steps = [step("a", "wait", definition={"event": "never"})]
    concurrency = {"key": "all", "onConflict": "skip"}
    trigger = await publish(world, inputs=inputs, triggers=[hook], steps=steps, concurrency=concurrency)
    for payload, reason in (({}, "payload has no 'n'"), ({"n": "x"}, "should be of type integer")):
        with pytest.raises(InvalidInput):
            await send(world, payload)
        assert reason in str((await trigger_of(world, trigger.automation_id)).last_error)
    assert (await send(world)).outcome == "accepted"
    assert (await trigger_of(world, trigger.automation_id)).last_error is None
    assert await send(world, name="msg_2") == Receipt("skipped", None)
    assert "skips" in str((await trigger_of(world, trigger.automation_id)).last_error)


async def test_who_does_not_know_the_secret_starts_none(world: World) -> None:
    trigger = await publish(world)
    good = signed(world)
    for delivery in (
        Delivery("default", "orders", {}, good.body),
        Delivery("default", "orders", good.headers, good.body + b" "),
    ):
        with pytest.raises(BadSignature):
            await receiver(world).receive(delivery)
    assert await started(world, trigger) == []
    assert (await trigger_of(world, trigger.automation_id)).last_error is None


async def test_what_is_not_there_paused_or_archived_is_told_alike(world: World) -> None:
    trigger, triggers, told = await publish(world), Triggers(world.store, world.clock), []

    async def refused(delivery: Delivery) -> None:
        with pytest.raises(NotFound) as caught:
            await receiver(world).receive(delivery)
        told.append(str(caught.value))

    good = signed(world)
    await refused(Delivery("nobody", "orders", good.headers, good.body))
    await refused(signed(world, path="order"))
    await triggers.pause(world.who, trigger.id)
    await refused(good)
    await triggers.resume(world.who, trigger.id)
    assert (await send(world)).outcome == "accepted"
    await world.automations.archive(world.who, trigger.automation_id, 1)
    await refused(good)
    assert len(set(told)) == 1


async def test_a_path_is_of_one_automation(world: World) -> None:
    trigger = await publish(world)
    with pytest.raises(PathTaken):
        await publish(world, "other")
    await publish_again(world, trigger, triggers=[HOOK | {"path": "moved"}])
    second = await publish(world, "third")
    assert second.address == "orders"
    both = [HOOK | {"key": "a", "path": "x"}, HOOK | {"key": "b", "path": "y"}]
    await publish_again(world, second, triggers=both)
    await publish_again(world, second, triggers=[both[0] | {"path": "y"}, both[1] | {"path": "x"}])
    found = await world.store.triggers(world.who.tenant_id, second.automation_id)
    assert [(one.key, one.address) for one in found] == [("a", "y"), ("b", "x")]


async def test_secrets_are_sealed_and_kept_when_hidden(world: World) -> None:
    trigger = await publish(world)
    assert signing.SECRET not in str(trigger)
    await publish_again(world, trigger, triggers=[HOOK | {"secret": "***", "match": "payload.n == 1"}])
    assert (await send(world)).outcome == "accepted"
    versions = await world.automations.versions(world.who, trigger.automation_id)
    assert signing.SECRET not in str(versions)
    await world.automations.create_draft(world.who, trigger.automation_id, versions[0].config | {"triggers": []})


async def test_a_secret_from_before_they_were_sealed_is_good(world: World) -> None:
    trigger = await publish(world)
    record = await world.store.automation(world.who.tenant_id, trigger.automation_id)
    (version,) = await world.automations.versions(world.who, trigger.automation_id)
    assert record is not None
    plain = {"action": {"kind": "wait", "definition": {"seconds": 0}}, "path": "orders", "secret": signing.SECRET}
    await world.store.save_versions(record, [replace(version, config=plain, status="archived")], [])
    await world.automations.publish(world.who, trigger.automation_id, 1)
    assert signing.SECRET not in str(await trigger_of(world, trigger.automation_id))
    assert signing.SECRET not in str(await world.automations.versions(world.who, trigger.automation_id))
    assert (await send(world)).outcome == "accepted"
