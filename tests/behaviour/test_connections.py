"""Steps that use connections, whoever drives them: the secret reaches the action, and nothing else."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

from tests.behaviour.shapes import step
from tests.engine.conftest import World
from vai.access import Principal
from vai.automations import NewAutomation
from vai.connections import NewConnection
from vai.domain.status import RetryMode, RunStatus

SECRET = "a-very-secret-token"


async def connect(world: World, who: Principal | None = None) -> None:
    new = NewConnection("CRM", "bearer", {}, {"token": SECRET})
    await world.connections.create(who or world.who, new)


def stored(folder: Path) -> str:
    """All that is in the database, as text."""
    database = sqlite3.connect(folder / "vai.db")
    try:
        return "\n".join(database.iterdump())
    finally:
        database.close()


async def test_a_child_process_gets_it_and_what_it_says_is_blotted_out(world: World, tmp_path: Path) -> None:
    await connect(world)
    run_id = await world.start([step("a", "leak_there", definition={"connection_ref": "crm"})])
    run = await world.end(run_id)
    assert run.status is RunStatus.COMPLETED, run.error
    (record,) = await world.store.steps(world.who.tenant_id, run_id)
    assert record.state.result is not None
    assert record.state.result.value == {"coded": "***", "length": str(len(SECRET))}
    everything = stored(tmp_path)
    assert "printed ***" in everything
    assert SECRET not in everything
    assert base64.b64encode(SECRET.encode()).decode() not in everything


async def test_an_error_holds_no_secret(world: World, tmp_path: Path) -> None:
    await connect(world)
    run_id = await world.start([step("a", "fail_with_it", definition={"connection_ref": "crm"})])
    assert (await world.end(run_id)).status is RunStatus.FAILED
    (record,) = await world.store.steps(world.who.tenant_id, run_id)
    assert record.state.error is not None
    assert (record.state.error.type, record.state.error.message) == ("refused", "no: ***")
    assert SECRET not in stored(tmp_path)


async def test_a_missing_one_fails_the_step_and_a_retry_finds_it(world: World) -> None:
    run_id = await world.start([step("a", "leak_there", definition={"connection_ref": "crm"})])
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    (record,) = await world.store.steps(world.who.tenant_id, run_id)
    assert record.state.error is not None
    assert record.state.error.type == "connection_missing"
    await connect(world)
    seen = len(await world.types(run_id))
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert (await world.end(run_id, after=seen)).status is RunStatus.COMPLETED


async def test_a_provider_with_two_connections_is_ambiguous(world: World) -> None:
    await connect(world)
    await world.connections.create(world.who, NewConnection("CRM 2", "bearer", {}, {"token": SECRET}))
    run_id = await world.start([step("a", "leak_there", definition={"connection_ref": "bearer"})])
    await world.end(run_id)
    (record,) = await world.store.steps(world.who.tenant_id, run_id)
    assert record.state.error is not None
    assert record.state.error.type == "connection_ambiguous"


async def test_another_organizations_is_missing(world: World) -> None:
    other = "00000000-0000-7000-8000-000000000001"
    await world.store.create_organization(other, "Other", "other", world.clock())
    await connect(world, Principal(other, "user", "tester", "admin"))
    run_id = await world.start([step("a", "leak_there", definition={"connection_ref": "crm"})])
    await world.end(run_id)
    (record,) = await world.store.steps(world.who.tenant_id, run_id)
    assert record.state.error is not None
    assert record.state.error.type == "connection_missing"


async def test_what_a_called_automation_is_given_may_name_a_connection(world: World) -> None:
    await connect(world)
    steps = [step("a", "leak_there", definition={"connection_ref": "{{ input.connectionRef }}"})]
    called = await world.automations.create(world.who, NewAutomation("uses it", {"steps": steps}))
    await world.automations.publish(world.who, called.record.id, 1)
    definition = {"automation": "uses it", "input": {"connectionRef": "crm"}}
    run_id = await world.start([step("call", "call_automation", definition=definition)])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "call")).child_run_id is not None
