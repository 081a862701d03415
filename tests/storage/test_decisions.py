"""Decisions are written with the events that open and close them."""

import msgspec
import pytest

from tests.storage.samples import NOW, accept, add_tenant, change, land
from vai.domain import events as e
from vai.domain.questions import Question
from vai.domain.state import StepState
from vai.domain.status import DecisionStatus, OnExpire, StepStatus
from vai.ports import Conflict, DecisionFilter, RunChange, StepWrite, Store

ASKED = Question("Publish?", "7 rows", fields={"type": "object"}, assignees=("bob",), expires_at=NOW + 9)
OPENS = e.StepAwaitingApproval(NOW, "gate", "d1", msgspec.structs.replace(ASKED, on_expire=OnExpire.REJECT))
DECIDES = e.StepDecided(NOW, "gate", "d1", DecisionStatus.APPROVED, "key", "Bob", "fine", {"a": 1})


def with_gate(wanted: RunChange) -> RunChange:
    gate = StepState("gate", StepStatus.AWAITING_APPROVAL, decision_id="d1", wake_at=NOW + 9)
    state = msgspec.structs.replace(wanted.state, steps={"gate": gate})
    return msgspec.structs.replace(wanted, state=state, steps=[StepWrite(gate, "approval_gate")])


async def test_a_question_is_a_row_until_it_is_answered(store: Store) -> None:
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    landed = await land(store, with_gate(change(run, events=[OPENS])))
    asked = await store.decision(tenant.id, "d1")
    assert asked is not None
    assert (asked.title, asked.assignees, asked.status, asked.on_expire) == ("Publish?", ["bob"], "pending", "reject")
    assert await store.decision("another", "d1") is None
    late = with_gate(change(run, version=99, events=[DECIDES]))
    assert isinstance(await store.commit(late), Conflict)
    await land(store, with_gate(change(run, version=landed.version, events=[DECIDES])))
    decided = await store.decision(tenant.id, "d1")
    assert decided is not None
    assert (decided.status, decided.decided_by_name, decided.fields) == ("approved", "Bob", {"a": 1})


@pytest.mark.parametrize(("closes", "status"), [(DECIDES, "approved"), (e.StepCancelled(NOW, "gate"), "withdrawn")])
async def test_one_that_closes_in_the_change_that_opens_it(store: Store, closes: e.StepEvent, status: str) -> None:
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    landed = await land(store, with_gate(change(run, events=[OPENS, closes])))
    await land(store, with_gate(change(run, version=landed.version, events=[e.StepCancelled(NOW, "gate")])))
    found = await store.decision(tenant.id, "d1")
    assert found is not None
    assert found.status == status, "what is closed stays as it is"


async def test_lists_by_status_run_and_assignee(store: Store) -> None:
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    await land(store, with_gate(change(run, events=[OPENS])))
    for changes, total in (
        ({"statuses": [DecisionStatus.PENDING, DecisionStatus.EXPIRED]}, 1),
        ({"statuses": [DecisionStatus.EXPIRED]}, 0),
        ({"run_id": run.id}, 1),
        ({"run_id": "other"}, 0),
        ({"assigned_to": ["x", "bob"]}, 1),
        ({"assigned_to": ["BOB", "bo", "b", '"bob"']}, 0),
    ):
        page = await store.decisions(DecisionFilter(tenant.id, **changes))
        assert (page.total, len(page.items)) == (total, total), changes


@pytest.mark.parametrize("name", ["x", 'a "quoted" \\ name', "é漢", "%_"])
async def test_whoever_is_named_finds_a_decision_and_all_find_one_that_names_nobody(store: Store, name: str) -> None:
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    question = msgspec.structs.replace(OPENS.question, assignees=(name, "other"))
    await land(store, with_gate(change(run, events=[msgspec.structs.replace(OPENS, question=question)])))
    other = await accept(store, tenant)
    for_all = e.StepAwaitingApproval(NOW, "gate", "d2", Question("All?"))
    await land(store, with_gate(change(other, events=[for_all])))
    for who, found in (("x and more", ["d2"]), (name, ["d2", "d1"])):
        page = await store.decisions(DecisionFilter(tenant.id, assigned_to=[who]))
        assert [one.id for one in page.items] == found
