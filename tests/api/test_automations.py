"""Automations and their versions over HTTP, and the dry check."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.api import actions
from tests.api.site import Organization, step

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = {"steps": [step("a")]}


async def create(us: Organization, **body: Any) -> dict[str, Any]:
    made = await us.post("/automations", json={"name": str(uuid4()), "config": CONFIG, **body})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def test_an_automation_is_made_with_its_defaults(us: Organization) -> None:
    made = await us.post("/automations", json={"name": "Nightly report", "config": CONFIG})
    body = made.json()
    assert made.headers["location"] == f"/api/v1/automations/{body['id']}"
    assert {**body, "id": 0, "createdAt": 0, "updatedAt": 0} == {
        **{"id": 0, "createdAt": 0, "updatedAt": 0, "tenantId": us.tenant_id},
        **{"name": "Nightly report", "slug": "nightly-report", "description": None, "status": "draft"},
        **{"config": CONFIG, "triggerType": "manual", "orchestratorType": "dag", "templateId": None},
        **{"sourceType": "manual", "sourceAgentRunId": None, "sourceAgentSpecId": None, "latestRun": None},
        "versionsSummary": {"count": 1, "activeCount": 0, "hasDraft": True},
    }
    assert (await us.get(f"/automations/{body['id']}")).json() == body


async def test_a_name_is_taken_once(us: Organization) -> None:
    made = await create(us)
    refused = await us.post("/automations", json={"name": made["name"], "config": CONFIG})
    assert (refused.status_code, refused.json()["type"]) == (409, "/errors/name-taken")


async def test_the_same_name_asked_many_times_at_once_is_made_once(us: Organization) -> None:
    body = {"name": str(uuid4()), "config": CONFIG}
    answers = await asyncio.gather(*(us.post("/automations", json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


@pytest.mark.parametrize("change", [{"name": "renamed"}, {"description": "x"}, {"description": None}, {}])
async def test_what_is_left_out_of_a_change_stays(us: Organization, change: dict[str, Any]) -> None:
    made = await create(us, description="first")
    changed = await us.http.patch(f"/automations/{made['id']}", json=change)
    assert changed.status_code == 200
    kept = {"updatedAt": 0, "slug": 0}
    assert {**changed.json(), **kept} == {**made, **change, **kept}


@pytest.mark.parametrize("change", [{"name": None}, {"name": ""}, {"config": None}, {"status": "active"}])
async def test_a_change_that_does_not_fit_is_refused(us: Organization, change: dict[str, Any]) -> None:
    made = await create(us)
    refused = await us.http.patch(f"/automations/{made['id']}", json=change)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", next(iter(change))]


async def test_a_new_config_goes_into_a_draft_and_runs_keep_to_their_version(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    new = {"steps": [step("b")]}
    changed = (await us.http.patch(f"/automations/{automation_id}", json={"config": new})).json()
    assert changed["config"] == new
    assert changed["versionsSummary"] == {"count": 2, "activeCount": 1, "hasDraft": True}
    run = await us.final((await us.start(automation_id))["id"])
    shown = (await us.get(f"/automations/{automation_id}")).json()["latestRun"]
    assert shown == {name: run[name] for name in ("completedAt", "id", "startedAt", "status", "versionNumber")}
    assert run["versionNumber"] == 1


async def test_the_life_of_versions(us: Organization) -> None:
    automation_id = (await create(us))["id"]
    path = f"/automations/{automation_id}/versions"
    second = await us.post(path)
    assert (second.status_code, second.json()["type"]) == (409, "/errors/version-conflict")
    published = (await us.post(f"{path}/1/publish")).json()
    assert (published["status"], published["publishedAt"] is not None) == ("active", True)
    draft = await us.post(path, json={"config": {"steps": [step("b")]}})
    assert (draft.status_code, draft.json()["number"], draft.json()["status"]) == (201, 2, "draft")
    await us.post(f"{path}/2/publish")
    listed = (await us.get(path)).json()
    assert [(version["number"], version["status"]) for version in listed["items"]] == [
        (2, "active"),
        (1, "archived"),
    ]
    assert (await us.get(f"{path}/1")).json() == listed["items"][1]
    assert (await us.post(f"{path}/2/archive")).json()["status"] == "archived"
    assert (await us.get(f"/automations/{automation_id}")).json()["status"] == "archived"
    copied = (await us.post(path)).json()
    assert (copied["number"], copied["config"]) == (3, {"steps": [step("b")]})


async def test_drafts_asked_for_at_once_are_one(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    answers = await asyncio.gather(*(us.post(f"/automations/{automation_id}/versions") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_an_automation_goes_when_no_run_of_it_is_live(us: Organization) -> None:
    name = str(uuid4())
    automation_id = await us.define(step("a", "wait_at", name=name))
    with actions.gate(name):
        run = await us.start(automation_id)
        refused = await us.http.delete(f"/automations/{automation_id}")
        assert (refused.status_code, refused.json()["type"]) == (409, "/errors/has-live-runs")
    await us.final(run["id"])
    assert (await us.http.delete(f"/automations/{automation_id}")).status_code == 204
    assert (await us.get(f"/automations/{automation_id}")).status_code == 404
    assert (await us.get(f"/automation-runs/{run['id']}")).status_code == 404


async def test_lists_of_automations(us: Organization) -> None:
    made = [(await create(us))["id"] for _ in range(3)]
    await us.post(f"/automations/{made[0]}/versions/1/publish")
    name = (await us.get(f"/automations/{made[1]}")).json()["name"]
    for query, ids in (
        ("", made[::-1]),
        ("?limit=1&offset=1", [made[1]]),
        ("?limit=0", []),
        ("?offset=99999999999999999999", []),
        ("?status=active", [made[0]]),
        ("?status=active&status=draft", made[::-1]),
        ("?status=archived", []),
        (f"?name={name}", [made[1]]),
        (f"?name={name}&status=active", []),
        ("?name=nonsense", []),
    ):
        listed = (await us.get(f"/automations{query}")).json()
        assert [automation["id"] for automation in listed["items"]] == ids


async def test_runs_of_one_automation(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    run = await us.final((await us.start(automation_id))["id"])
    await us.finished(step("a"))
    assert (await us.get(f"/automations/{automation_id}/runs")).json() == {"items": [run], "total": 1}
    assert (await us.get(f"/automations/{automation_id}/runs?status=failed")).json()["total"] == 0


# --- what is wrong with a config ---------------------------------------------------------------------------

BROKEN = {
    "steps": [
        {"key": "Bad Key", "kind": "echo"},
        {"key": "b", "kind": "nonsense", "dependsOn": ["missing"]},
        {"key": "c", "kind": "echo", "if": "steps.nowhere.result >", "definition": {"other": 1}},
    ]
}


@pytest.mark.parametrize("operation", ["create", "update", "version"])
async def test_every_fault_is_told_at_once_with_its_place(us: Organization, operation: str) -> None:
    automation_id = await us.define(step("a"))
    if operation == "create":
        refused = await us.post("/automations", json={"name": str(uuid4()), "config": BROKEN})
    elif operation == "update":
        refused = await us.http.patch(f"/automations/{automation_id}", json={"config": BROKEN})
    else:
        refused = await us.post(f"/automations/{automation_id}/versions", json={"config": BROKEN})
    assert refused.status_code == 422
    places = [tuple(item["loc"]) for item in refused.json()["detail"]]
    assert {("body", "config", "steps", 0, "key"), ("body", "config", "steps", 1, "kind")} <= set(places)
    assert ("body", "config", "steps", 2, "if") in places
    checked = (await us.post("/automations/validate", json={"config": BROKEN})).json()
    assert (checked["valid"], checked["steps"]) == (False, [])
    assert checked["faults"] == refused.json()["detail"]


async def test_the_dry_check_fills_everything_in_and_keeps_nothing(us: Organization) -> None:
    config = {"steps": [step("a"), {"key": "b", "kind": "echo", "definition": {"value": "{{ steps.a.result }}"}}]}
    checked = (await us.post("/automations/validate", json={"config": config})).json()
    assert (checked["valid"], checked["faults"]) == (True, [])
    assert [(found["key"], found["dependsOn"], found["runWhen"]) for found in checked["steps"]] == [
        ("a", [], "all_succeeded"),
        ("b", ["a"], "all_succeeded"),
    ]
    assert (await us.get("/automations")).json()["total"] == 0


@pytest.mark.parametrize("config", [None, 1, "x", [], {"steps": 1}, {"x": 1}])
async def test_the_dry_check_takes_anything(us: Organization, config: Any) -> None:
    checked = await us.post("/automations/validate", json={"config": config})
    assert (checked.status_code, checked.json()["valid"]) == (200, False)


# --- kinds -------------------------------------------------------------------------------------------------


async def test_kinds_and_their_definitions(us: Organization) -> None:
    listed = (await us.get("/kinds")).json()
    by_name = {kind["kind"]: kind for kind in listed["items"]}
    assert listed["total"] == len(by_name)
    assert {"wait", "http_request", "conditional_branch", "echo"} <= set(by_name)
    assert by_name["large"]["definitionSchema"]["properties"]["size"]["type"] == "integer"
    assert (await us.get("/kinds/echo")).json() == by_name["echo"]
    missing = await us.get("/kinds/nonsense")
    assert (missing.status_code, missing.json()["type"]) == (404, "/errors/not-found")
