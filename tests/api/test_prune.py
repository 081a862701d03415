"""Removing runs over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.site import Organization, step

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def prune(who: Organization, **body: Any) -> httpx.Response:
    return await who.post("/automation-runs/prune", json={"olderThanSeconds": 0, **body})


async def test_what_is_removed_is_not_there_any_more(us: Organization, them: Organization) -> None:
    run, theirs = await us.finished(step("a")), await them.finished(step("a"))
    steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    path = f"/automation-runs/{run['id']}"
    assert (await prune(us, olderThanSeconds=3600)).json() == {"runs": 0, "hasMore": False, "dryRun": False}
    assert (await prune(us, status=["failed"])).json()["runs"] == 0
    counted = (await prune(us, dryRun=True)).json()
    assert (counted["dryRun"], counted["runs"]) == (True, 1)
    assert (await us.get(path)).status_code == 200
    assert (await prune(us, status=["completed", "completed"])).json()["runs"] == 1
    for gone in ("", "/steps", "/events", "/explain"):
        assert (await us.get(path + gone)).status_code == 404
    for change in ("cancel", "retry"):
        assert (await us.post(f"{path}/{change}")).status_code == 404
    assert (await us.get(f"/action-runs/{steps[0]['actionRunId']}")).status_code == 404
    assert (await us.get("/automation-runs")).json()["total"] == 0
    assert (await them.get(f"/automation-runs/{theirs['id']}")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"olderThanSeconds": -1},
        {"olderThanSeconds": 1e300},
        {"olderThanSeconds": None},
        {"status": ["running"]},
        {"dryRun": 1},
        {"tenantId": "another"},
    ],
)
async def test_what_does_not_fit_is_refused(us: Organization, body: dict[str, Any]) -> None:
    run = await us.finished(step("a"))
    assert (await prune(us, **body)).status_code == 422
    assert (await us.post("/automation-runs/prune", json={})).status_code == 422, "an age has to be given"
    assert (await us.get(f"/automation-runs/{run['id']}")).status_code == 200


async def test_only_an_administrator_removes_runs(us: Organization) -> None:
    run = await us.finished(step("a"))
    key = await us.site.system.doors.access.create_api_key(us.tenant_id, "reader", "member")
    answer = await us.post(
        "/automation-runs/prune", json={"olderThanSeconds": 0}, headers={"Authorization": f"Bearer {key}"}
    )
    assert (answer.status_code, answer.json()["type"]) == (403, "/errors/needs-admin")
    assert (await us.get(f"/automation-runs/{run['id']}")).status_code == 200
