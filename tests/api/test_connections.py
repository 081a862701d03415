"""Connections over HTTP: what goes in as a secret never comes out, neither by the API nor by a step."""

import base64
from typing import Any

import pytest

from tests.api.site import Organization, step
from tests.signing import SECRET as HOOK_SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "s3cr3t/with spaces & ünïcode"


async def created(us: Organization, slug: str, **more: Any) -> dict[str, Any]:
    body = {"name": slug, "slug": slug, "provider": "http", "credentials": {"token": SECRET}, **more}
    answer = await us.post("/connections", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_credentials_are_never_shown_again(us: Organization) -> None:
    made = await created(us, "crm", config={"baseUrl": "https://crm.example"})
    path = f"/connections/{made['id']}"
    assert made["credentialFields"] == ["token"]
    assert made["hasCredentials"] is True
    for answer in [await us.get(path), await us.get("/connections"), await us.http.patch(path, json={"name": "n"})]:
        assert answer.status_code == 200
        assert "s3cr3t" not in answer.text
        assert "credentials" not in answer.json()


async def test_a_slug_is_taken_once_and_a_changed_connection_is_verified_anew(us: Organization) -> None:
    made = await created(us, "taken")
    again = await us.post("/connections", json={"name": "x", "slug": "taken", "provider": "http"})
    assert (again.status_code, again.json()["type"]) == (409, "/errors/slug-taken")
    verdict = (await us.post(f"/connections/{made['id']}/verify")).json()
    assert verdict["verified"] is None
    assert "testUrl" in verdict["message"]
    assert (await us.http.delete(f"/connections/{made['id']}")).status_code == 204
    assert (await us.get(f"/connections/{made['id']}")).status_code == 404


async def test_what_does_not_fit_is_told_by_path(us: Organization) -> None:
    answer = await us.post("/connections", json={"name": "x", "provider": "Bad Name", "more": 1})
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", "provider"], ["body", "more"]]


async def test_a_step_says_nothing_of_the_secret(us: Organization) -> None:
    await created(us, "leaky")
    run = await us.finished(step("a", "leak", connection_ref="leaky"))
    steps = await us.get(f"/automation-runs/{run['id']}/steps")
    events = await us.http.get(f"/automation-runs/{run['id']}/events", headers={"Accept": "application/json"})
    everything = steps.text + events.text
    assert run["status"] == "completed", everything
    assert "***" in everything
    for form in ("s3cr3t", base64.b64encode(SECRET.encode()).decode()):
        assert form not in everything


async def test_a_step_fails_clearly_without_its_connection(us: Organization) -> None:
    run = await us.finished(step("a", "leak", connection_ref="nowhere"))
    steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert steps[0]["error"]["type"] == "connection_missing"


async def test_a_step_never_gets_the_connection_of_another_organization(us: Organization, them: Organization) -> None:
    theirs = await created(them, "theirs")
    run = await us.finished(step("a", "leak", connection_ref=theirs["id"]))
    steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert steps[0]["error"]["type"] == "connection_missing"


async def test_the_secret_of_a_trigger_is_never_shown_and_is_kept_when_given_back(us: Organization) -> None:
    config = {"path": "orders", "secret": HOOK_SECRET, "action": {"kind": "echo", "definition": {"value": 1}}}
    made = await us.post("/automations", json={"name": "hook", "config": config})
    assert made.status_code == 201, made.text
    path = f"/automations/{made.json()['id']}"
    shown = made.json()["config"]
    assert shown == {**config, "secret": "***"}
    changed = await us.http.patch(path, json={"config": {**shown, "path": "others"}})
    listed = await us.get("/automations")
    for answer in (made, changed, listed, await us.get(path), await us.get(f"{path}/versions")):
        assert answer.status_code < 300
        assert HOOK_SECRET not in answer.text
    (version,) = await us.site.system.store.versions(made.json()["tenantId"], made.json()["id"])
    assert (version.config["secret"][:7], version.config["path"]) == ("sealed:", "others")


async def test_what_stands_for_a_secret_is_refused_where_there_was_none(us: Organization) -> None:
    config = {"path": "orders", "secret": "***", "action": {"kind": "echo"}}
    answer = await us.post("/automations", json={"name": "no hook", "config": config})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "config", "secret"]


async def test_validate_notes_connections_that_are_not_there(us: Organization) -> None:
    made = await created(us, "noted")
    refs = ["noted", made["id"], {"slug": "noted"}, "{{ input.ref }}", "missing", {"provider": "nobody"}]
    steps = [step(f"s{i}", "http_request", url="https://crm.example", connectionRef=ref) for i, ref in enumerate(refs)]
    answer = (await us.post("/automations/validate", json={"config": {"steps": steps}})).json()
    assert answer["valid"] is True
    noted = [(note["loc"][3], note["type"]) for note in answer["notes"]]
    assert noted == [(4, "unknown_connection"), (5, "unknown_connection")]
    assert "nobody" in answer["notes"][1]["msg"]
