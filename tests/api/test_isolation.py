"""No organization sees or touches what belongs to another: it is as if it were not there."""

from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.api.site import Organization, Site, step

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Every operation that names something; {} stands for the thing's id. Held against the document below.
OPERATIONS = [
    ("GET", "/automation-runs/{run_id}"),
    ("POST", "/automation-runs/{run_id}/cancel"),
    ("POST", "/automation-runs/{run_id}/retry"),
    ("POST", "/automation-runs/{run_id}/retry-plan"),
    ("GET", "/automation-runs/{run_id}/explain"),
    ("GET", "/automation-runs/{run_id}/steps"),
    ("GET", "/automation-runs/{run_id}/events"),
    ("GET", "/automations/{automation_id}"),
    ("PATCH", "/automations/{automation_id}"),
    ("DELETE", "/automations/{automation_id}"),
    ("POST", "/automations/{automation_id}/runs"),
    ("GET", "/automations/{automation_id}/runs"),
    ("GET", "/automations/{automation_id}/versions"),
    ("POST", "/automations/{automation_id}/versions"),
    ("GET", "/automations/{automation_id}/versions/{number}"),
    ("POST", "/automations/{automation_id}/versions/{number}/publish"),
    ("POST", "/automations/{automation_id}/versions/{number}/archive"),
    ("GET", "/action-runs/{action_run_id}"),
    ("GET", "/artifacts/{artifact_id}"),
    ("GET", "/artifacts/{artifact_id}/content"),
    ("GET", "/automations/{automation_id}/triggers"),
    ("GET", "/triggers/{trigger_id}"),
    ("GET", "/triggers/{trigger_id}/next"),
    ("POST", "/triggers/{trigger_id}/pause"),
    ("POST", "/triggers/{trigger_id}/resume"),
    ("GET", "/events/{event_id}"),
    ("GET", "/connections/{connection_id}"),
    ("PATCH", "/connections/{connection_id}"),
    ("DELETE", "/connections/{connection_id}"),
    ("POST", "/connections/{connection_id}/verify"),
    ("GET", "/decisions/{decision_id}"),
    ("POST", "/decisions/{decision_id}/approve"),
    ("POST", "/decisions/{decision_id}/reject"),
]
NAMED = (
    "run_id",
    "automation_id",
    "action_run_id",
    "artifact_id",
    "connection_id",
    "decision_id",
    "trigger_id",
    "event_id",
)
LISTS = ["/automation-runs", "/automations", "/action-runs", "/decisions", "/events/correlation/theirs"]


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(them: Organization) -> dict[str, Any]:
    """The ids of what the others have."""
    run = await them.finished(step("a", "large", size=70_000), step("b", "broken", name="theirs"))
    steps = (await them.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert run["status"] == "failed"
    new = {"name": "c", "provider": "http", "slug": f"c{run['id']}"}
    connection = (await them.post("/connections", json=new)).json()
    asked = await them.run(step("a", "approval_gate", title="Go on?"))
    await them.until(asked["id"], "run.awaiting_approval")
    (decision,) = (await them.get("/decisions")).json()["items"]
    scheduled = await them.define(triggers=[{"type": "schedule", "schedule": "0 0 1 1 *"}])
    triggers = (await them.get(f"/automations/{scheduled}/triggers")).json()
    event = (await them.post("/events", json={"eventType": "order.paid", "correlationId": "theirs"})).json()
    return {
        "trigger_id": triggers["items"][0]["id"],
        "event_id": event["id"],
        "connection_id": connection["id"],
        "decision_id": decision["id"],
        "run_id": run["id"],
        "automation_id": run["automationId"],
        "number": 1,
        "action_run_id": steps[0]["actionRunId"],
        "artifact_id": steps[0]["artifactId"],
    }


@pytest.mark.parametrize("method, path", OPERATIONS)
async def test_what_others_have_is_not_there(
    us: Organization, them: Organization, theirs: dict[str, Any], method: str, path: str
) -> None:
    before = await everything(them, theirs)
    answer = await us.http.request(method, path.format(**theirs))
    unknown = {name: 1 if name == "number" else str(uuid4()) for name in theirs}
    missing = await us.http.request(method, path.format(**unknown))
    assert answer.status_code == missing.status_code == 404
    assert telling(answer.json(), theirs) == telling(missing.json(), unknown)
    assert await everything(them, theirs) == before


def telling(problem: dict[str, Any], ids: dict[str, Any]) -> str:
    """A problem without the ids that the caller named."""
    text = str(problem)
    for name, value in ids.items():
        text = text.replace(str(value), "…") if name != "number" else text
    return text


async def everything(them: Organization, theirs: dict[str, Any]) -> list[Any]:
    paths = [
        "/triggers/{trigger_id}",
        "/connections/{connection_id}",
        "/events/{event_id}",
        "/automation-runs/{run_id}",
        "/automations/{automation_id}",
        "/automations/{automation_id}/versions",
    ]
    paths.append("/decisions/{decision_id}")
    return [(await them.get(path.format(**theirs))).json() for path in paths]


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize("path", LISTS)
async def test_lists_hold_nothing_of_others(us: Organization, them: Organization, path: str) -> None:
    assert (await us.get(path)).json()["total"] == 0
    assert (await them.get(path)).json()["total"] > 0


async def test_an_idempotency_key_belongs_to_its_organization(us: Organization, them: Organization) -> None:
    key = {"Idempotency-Key": "the same"}
    runs = []
    for organization in (us, them):
        automation_id = await organization.define(step("a"))
        started = await organization.post(f"/automations/{automation_id}/runs", headers=key)
        assert started.status_code == 201
        runs.append(started.json()["tenantId"])
    assert runs == [us.tenant_id, them.tenant_id]


async def test_the_same_name_may_be_used_by_two(us: Organization, them: Organization) -> None:
    for organization in (us, them):
        made = await organization.post("/automations", json={"name": "report", "config": {"steps": [step("a")]}})
        assert made.status_code == 201
    assert (await us.get("/automations?name=report")).json()["total"] == 1


async def test_every_operation_that_names_something_is_tried(site: Site) -> None:
    named = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in site.system.app.openapi()["paths"].items()
        for method in operations
        if "{" in path and "/kinds/" not in path and "/correlation/" not in path and "/webhooks/" not in path
    }
    assert named == set(OPERATIONS)


async def test_every_operation_but_health_and_signing_in_needs_a_credential(site: Site) -> None:
    paths = site.system.app.openapi()["paths"]
    number = {"number": 1}
    open_ones = set()
    async with site.client() as client:
        for path, operations in paths.items():
            for method in operations:
                ids = {name: str(uuid4()) for name in NAMED}
                words = {"kind": "echo", "correlation_id": "x", "organization": "nobody", "path": "x"}
                url = site.url + path.format(**ids, **number, **words)
                if (await client.request(method.upper(), url)).status_code != 401:
                    open_ones.add((method.upper(), path))
    open_ones.remove(("POST", "/webhooks/{organization}/{path}"))  # its signature is its credential
    assert open_ones == {("GET", "/health"), ("GET", "/api/v1/health"), ("DELETE", "/api/v1/auth/session")}
