"""Ordinary requests go past the framework's handling of parameters: the answer must not show which way was taken.

A query that means nothing sends a request the framework's way.
"""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.routing import Match

from tests.api.site import Organization, step
from vai.api import quick

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_KEY = {"X-API-Key": ""}
THE_LONG_WAY = {"params": {"nothing": "1"}}
CHANGES = {"id", "createdAt", "updatedAt", "startedAt", "completedAt", "durationSeconds", "status", "date", "location"}


def shown(response: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    """What an answer says, without what differs between two runs."""
    body = response.json() if response.headers["content-type"].endswith("json") else response.text
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in CHANGES}
    headers = {name: value for name, value in response.headers.items() if name not in {*CHANGES, "content-length"}}
    return response.status_code, body, headers


@pytest.mark.parametrize(
    "options, status",
    [
        ({}, 201),
        ({"json": {"input": {"a": 1}, "concurrencyKey": "k"}}, 201),
        ({"json": {"versionNumber": 7}}, 404),
        ({"json": {"input": 1, "unknown": True, "versionNumber": "x"}}, 422),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"headers": {"Authorization": "Basic x"}}, 401),
        ({"headers": NO_KEY}, 401),
        ({"headers": {"Idempotency-Key": "k" * 256}}, 422),
    ],
)
async def test_starting_answers_the_same_both_ways(us: Organization, options: dict[str, Any], status: int) -> None:
    path = f"/automations/{await us.define(step('a'))}/runs"
    quickly, slowly = await us.post(path, **options), await us.post(path, **options, **THE_LONG_WAY)
    assert quickly.status_code == status
    assert shown(quickly) == shown(slowly)


async def test_reading_answers_the_same_both_ways(us: Organization, them: Organization) -> None:
    run_id = (await us.finished(step("a")))["id"]
    for path in (f"/automation-runs/{run_id}", f"/automation-runs/{run_id}/events"):
        for who, headers, status in ((us, {}, 200), (us, NO_KEY, 401), (them, {}, 404)):
            quickly = await who.get(path, headers=headers)
            slowly = await who.get(path, headers=headers, **THE_LONG_WAY)
            assert quickly.status_code == status
            assert shown(quickly) == shown(slowly)


async def test_the_quick_way_stands_before_the_frameworks(us: Organization) -> None:
    asked = scope(path=f"/api/v1/automations/{uuid4()}/runs")
    taken = [route for route in us.site.system.app.router.routes if route.matches({**asked})[0] is Match.FULL]
    assert taken[0].path == quick.routes("/api/v1")[0].path


async def test_an_unknown_automation_is_not_found(us: Organization) -> None:
    assert (await us.post(f"/automations/{uuid4()}/runs")).status_code == 404


@pytest.mark.parametrize("path", ["/automation-runs/x", "/automation-runs/x/events", "/automations/x/runs"])
async def test_an_odd_id_is_answered_in_the_documented_form(us: Organization, path: str) -> None:
    answer = await (us.post(path) if path.endswith("runs") else us.get(path))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "path"


async def test_another_method_is_told_what_is_allowed(us: Organization) -> None:
    answer = await us.http.put(f"/automation-runs/{uuid4()}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def scope(method: str = "POST", path: str = f"/v/automations/{UUID(int=7)}/runs", **other: Any) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], **other}


@pytest.mark.parametrize(
    "request_scope, is_quick",
    [
        (scope(), True),
        (scope("GET", f"/v/automation-runs/{UUID(int=7)}"), True),
        (scope("GET", f"/v/automation-runs/{UUID(int=7)}/events"), True),
        (scope("HEAD", f"/v/automation-runs/{UUID(int=7)}"), False),
        (scope("PUT"), False),
        (scope(query_string=b"a=1"), False),
        (scope(headers=[(b"idempotency-key", b"k")]), True),
        (scope(headers=[(b"last-event-id", b"3")]), False),
        (scope(path="/v/automations/7/runs"), False),
        (scope("GET", f"/v/automations/{UUID(int=7)}/runs"), False),
    ],
)
async def test_only_ordinary_requests_are_quick(request_scope: dict[str, Any], is_quick: bool) -> None:
    matches = {route.matches(request_scope)[0] for route in quick.routes("/v")}
    assert matches == ({Match.FULL, Match.NONE} if is_quick else {Match.NONE})
