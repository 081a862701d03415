"""Decisions over HTTP: who is asked, who answers, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.site import Json, Organization, step

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIELDS = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 1}},
    "required": ["amount"],
    "additionalProperties": False,
}


def gate(**definition: Any) -> Json:
    return {"key": "gate", "kind": "approval_gate", "definition": {"title": "Go on?", **definition}}


async def asked(us: Organization, *steps: Json, **definition: Any) -> Json:
    """The open decision of a new run whose only gate has this definition."""
    run = await us.run(gate(**definition), *steps)
    return await open_decision(us, run["id"])


async def open_decision(us: Organization, run_id: str) -> Json:
    await us.until(run_id, "run.awaiting_approval")
    (found,) = (await us.get("/decisions", params={"run": run_id, "status": "pending"})).json()["items"]
    return dict(found)


async def gate_of(us: Organization, run_id: str) -> Json:
    steps = (await us.get(f"/automation-runs/{run_id}/steps")).json()["steps"]
    return dict(next(one for one in steps if one["key"] == "gate"))


@asynccontextmanager
async def another(us: Organization, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """Another API key of the organization."""
    key = await us.site.system.doors.access.create_api_key(us.tenant_id, name)
    async with us.site.client(**{"X-API-Key": key}) as client:
        yield client


async def test_a_yes_with_fields_is_the_steps_result_and_is_kept(us: Organization) -> None:
    after = step("after", value="{{ steps.gate.result.fields.amount + 1 }}")
    question = await asked(us, after, message="{{ 6 + 1 }} rows", fields=FIELDS)
    path = f"/decisions/{question['id']}"
    run = (await us.get(f"/automation-runs/{question['runId']}")).json()
    waiting = await gate_of(us, question["runId"])
    assert (run["status"], waiting["status"], waiting["decisionId"]) == ("awaiting_approval",) * 2 + (question["id"],)
    assert (question["title"], question["message"], question["fieldsSchema"]) == ("Go on?", "7 rows", FIELDS)
    answer = await us.post(f"{path}/approve", json={"reason": "fine", "fields": {"amount": 6}})
    assert answer.status_code == 200, answer.text
    decided = answer.json()
    assert decided == (await us.get(path)).json()
    assert (decided["status"], decided["decidedByName"], decided["reason"]) == ("approved", "test", "fine")
    assert decided["decidedAt"] is not None
    assert (await us.final(question["runId"]))["status"] == "completed"
    ended = await gate_of(us, question["runId"])
    assert ended["result"] == {
        "outcome": "approved",
        "by": decided["decidedBy"],
        "byName": "test",
        "reason": "fine",
        "fields": {"amount": 6},
        "decidedAt": decided["decidedAt"],
    }
    steps = (await us.get(f"/automation-runs/{question['runId']}/steps")).json()["steps"]
    assert steps[1]["result"] == {"value": 7}


async def test_a_no_fails_the_step_and_a_retry_asks_again(us: Organization) -> None:
    question = await asked(us, fields=FIELDS)
    answer = await us.post(f"/decisions/{question['id']}/reject", json={"reason": "too dear"})
    assert answer.json()["status"] == "rejected"
    assert (await us.final(question["runId"]))["status"] == "failed"
    error = (await gate_of(us, question["runId"]))["error"]
    assert (error["type"], error["message"], error["details"]["byName"]) == ("rejected", "too dear", "test")
    seen = len(await us.log(question["runId"]))
    await us.post(f"/automation-runs/{question['runId']}/retry", json={})
    async for event in us.stream(question["runId"], headers={"Last-Event-ID": str(seen)}):
        if event.event == "run.awaiting_approval":
            break
    newest, oldest = (await us.get("/decisions", params={"run": question["runId"]})).json()["items"]
    assert (newest["status"], newest["attempt"], oldest["id"]) == ("pending", 2, question["id"])
    late = await us.post(f"/decisions/{question['id']}/approve", json={"fields": {"amount": 1}})
    assert (late.status_code, late.json()["outcome"]) == (409, "rejected")


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"fields": {"amount": 0}}, ["body", "fields", "amount"]),
        ({"fields": {"amount": "x"}}, ["body", "fields", "amount"]),
        ({"fields": {"amount": 1, "more": 1}}, ["body", "fields", "more"]),
        ({}, ["body", "fields", "amount"]),
        ({"fields": []}, ["body", "fields"]),
        ({"fields": {"amount": 1}, "note": 1}, ["body", "note"]),
        ({"reason": "a\0"}, ["body", "reason"]),
    ],
)
async def test_fields_that_do_not_fit_change_nothing(us: Organization, body: Json, loc: list[str]) -> None:
    question = await asked(us, fields=FIELDS)
    answer = await us.post(f"/decisions/{question['id']}/approve", json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["loc"] for fault in answer.json()["detail"]] == [loc]
    assert (await us.get(f"/decisions/{question['id']}")).json() == question


async def test_fields_are_refused_where_none_are_asked_for(us: Organization) -> None:
    question = await asked(us)
    answer = await us.post(f"/decisions/{question['id']}/approve", json={"fields": {"a": 1}})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "fields"])
    large = await us.post(f"/decisions/{question['id']}/approve", json={"fields": {"a": "x" * 50_000}})
    assert large.status_code == 422


async def test_of_many_who_decide_at_once_one_wins_and_the_others_hear_how(us: Organization) -> None:
    question = await asked(us)
    path = f"/decisions/{question['id']}"
    words = ["approve", "reject"] * 5
    answers = await asyncio.gather(
        *(us.post(f"{path}/{word}", json={"reason": str(i)}) for i, word in enumerate(words))
    )
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    losers = [answer for answer in answers if answer.status_code != 200]
    assert len(losers) == 9
    for answer in losers:
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        told = answer.json()
        assert (told["type"], told["outcome"], told["reason"]) == (
            "/errors/already-decided",
            winner["status"],
            winner["reason"],
        )
    await us.final(question["runId"])
    log = await us.log(question["runId"])
    assert [event["type"] for event in log].count("step.decided") == 1
    assert (await us.get(path)).json() == winner


async def test_only_those_who_are_named_may_decide(us: Organization) -> None:
    question = await asked(us, assignees=["bob"])
    path = f"/decisions/{question['id']}"
    refused = await us.post(f"{path}/approve", json={})
    assert (refused.status_code, refused.json()["type"]) == (403, "/errors/may-not-decide")
    assert "bob" in refused.json()["detail"]
    assert (await us.get("/decisions?mine=true")).json()["total"] == 0
    async with another(us, "bob") as bob:
        assert [one["id"] for one in (await bob.get("/decisions?mine=true")).json()["items"]] == [question["id"]]
        session = await bob.post("/auth/session")
        cookies = {"vai_token": session.cookies["vai_token"]}
        async with httpx.AsyncClient(base_url=bob.base_url, cookies=cookies, timeout=30) as browser:
            answer = await browser.post(f"{path}/approve", json={})
    assert (answer.status_code, answer.json()["decidedByName"]) == (200, "bob")


async def test_whoever_started_the_run_may_be_kept_from_deciding(us: Organization) -> None:
    question = await asked(us, allowSelfApproval=False)
    path = f"/decisions/{question['id']}/approve"
    assert (await us.post(path, json={})).status_code == 403
    session = await us.post("/auth/session")
    us.http.cookies.clear()
    async with us.site.client(Cookie=f"vai_token={session.cookies['vai_token']}") as browser:
        assert (await browser.post(path, json={})).status_code == 403
        run = await us.get(f"/automation-runs/{question['runId']}")
        by_session = (await browser.post(f"/automations/{run.json()['automationId']}/runs", json={})).json()
    its = await open_decision(us, by_session["id"])
    assert (await us.post(f"/decisions/{its['id']}/approve", json={})).status_code == 403
    async with another(us, "bob") as bob:
        assert (await bob.post(path, json={})).status_code == 200


async def test_another_organization_sees_and_decides_nothing(us: Organization, them: Organization) -> None:
    question = await asked(us)
    path = f"/decisions/{question['id']}"
    assert (await them.get("/decisions")).json() == {"items": [], "total": 0}
    for answer in (await them.get(path), await them.post(f"{path}/approve"), await them.post(f"{path}/reject")):
        assert answer.status_code == 404
    assert (await us.get(path)).json() == question
    assert (await us.get(f"/decisions/{uuid4()}")).status_code == 404


async def test_cancel_withdraws(us: Organization) -> None:
    question = await asked(us)
    await us.post(f"/automation-runs/{question['runId']}/cancel")
    assert (await us.final(question["runId"]))["status"] == "cancelled"
    assert (await us.get(f"/decisions/{question['id']}")).json()["status"] == "withdrawn"
    late = await us.post(f"/decisions/{question['id']}/approve")
    assert (late.status_code, late.json()["outcome"]) == (409, "withdrawn")


@pytest.mark.parametrize(
    ("rule", "status", "error"),
    [("approve", "completed", None), ("reject", "failed", "rejected"), ("fail", "failed", "expired")],
)
async def test_what_nobody_decides_in_time_ends_by_its_rule(
    us: Organization, rule: str, status: str, error: str | None
) -> None:
    run = await us.run(gate(expiresInSeconds=0.01, onExpire=rule))
    assert (await us.final(run["id"]))["status"] == status
    ended = await gate_of(us, run["id"])
    assert (ended["error"] or {}).get("type") == error
    decision = (await us.get(f"/decisions/{ended['decisionId']}")).json()
    assert (decision["status"], decision["onExpire"], decision["decidedBy"]) == ("expired", rule, None)
    late = await us.post(f"/decisions/{ended['decisionId']}/approve")
    assert (late.status_code, late.json()["outcome"]) == (409, "expired")


async def test_lists_are_newest_first_in_pages(us: Organization) -> None:
    ids = [(await asked(us))["id"] for _ in range(3)]
    page = (await us.get("/decisions?limit=2&offset=1")).json()
    assert ([one["id"] for one in page["items"]], page["total"]) == (ids[1::-1], 3)
    await us.post(f"/decisions/{ids[0]}/reject")
    both = await us.get("/decisions?status=rejected&status=expired")
    assert [one["id"] for one in both.json()["items"]] == ids[:1]
    for query in ("status=nonsense", "limit=1001", "run=x", "mine=perhaps"):
        assert (await us.get(f"/decisions?{query}")).status_code == 422, query


async def test_explain_says_who_has_to_decide(us: Organization) -> None:
    question = await asked(us, assignees=["alice", "bob"], expiresInSeconds=3600)
    reasons = (await us.get(f"/automation-runs/{question['runId']}/explain")).json()["reasons"]
    (of_gate,) = [reason for reason in reasons if reason["stepKey"] == "gate"]
    assert of_gate["reason"] == "alice or bob has to decide: Go on?"
    assert of_gate["until"] == question["expiresAt"]
    assert question["id"] in of_gate["advice"]


async def test_a_schema_that_cannot_be_used_is_refused_with_the_definition(us: Organization) -> None:
    steps = [gate(fields={"type": "objekt"})]
    answer = await us.post("/automations", json={"name": "x", "config": {"steps": steps}})
    place = ["body", "config", "steps", 0, "definition", "fields", "type"]
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, place)


async def test_a_schema_that_an_expression_gives_is_checked_when_it_is_asked(us: Organization) -> None:
    run = await us.finished(gate(fields={"type": "{{ 'objekt' }}"}))
    assert run["status"] == "failed"
    assert (await gate_of(us, run["id"]))["error"]["type"] == "invalid_definition"
