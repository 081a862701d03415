"""Triggers over HTTP: defined with a version, looked at, held, let go on."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.api.site import Organization, step

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEW_YEAR = {"type": "schedule", "schedule": "0 0 1 1 *", "timezone": "Europe/Berlin"}


async def scheduled(us: Organization, **more: Any) -> dict[str, Any]:
    automation_id = await us.define(step("a"), triggers=[NEW_YEAR | more])
    found = (await us.get(f"/automations/{automation_id}/triggers")).json()
    assert found["total"] == 1
    trigger: dict[str, Any] = found["items"][0]
    return trigger


async def test_a_schedule_is_shown_held_and_let_go_on(us: Organization) -> None:
    trigger = await scheduled(us)
    assert trigger["config"] == {
        **{"schedule": "0 0 1 1 *", "timezone": "Europe/Berlin"},
        **{"catchUp": "none", "input": None},
    }
    assert (trigger["key"], trigger["type"], trigger["paused"]) == ("schedule", "schedule", False)
    assert trigger["nextDueAt"].endswith("-12-31T23:00:00.000Z")
    path = f"/triggers/{trigger['id']}"
    assert (await us.get(path)).json() == trigger
    for _ in range(2):
        assert (await us.post(f"{path}/pause")).json()["paused"] is True
    for _ in range(2):
        resumed = (await us.post(f"{path}/resume")).json()
        assert (resumed["paused"], resumed["nextDueAt"]) == (False, trigger["nextDueAt"])
    following = (await us.get(f"{path}/next", params={"count": 2})).json()["nextRuns"]
    assert following[0] == trigger["nextDueAt"]
    assert len(following) == 2
    assert (await us.get(f"{path}/next", params={"count": 101})).status_code == 422


async def test_the_automation_says_what_starts_it(us: Organization) -> None:
    config = {"steps": [], "triggers": [NEW_YEAR]}
    made = (await us.post("/automations", json={"name": str(uuid4()), "config": config})).json()
    assert made["triggerType"] == "schedule"
    changed = await us.http.patch(f"/automations/{made['id']}", json={"config": {"steps": []}})
    assert changed.json()["triggerType"] == "manual"
    for body in ({"triggerType": "schedule"}, {"triggerType": "schedule", "config": {"steps": []}}):
        refused = await us.http.patch(f"/automations/{made['id']}", json=body)
        assert refused.status_code == 422
        assert [fault["loc"] for fault in refused.json()["detail"]] == [["body", "config", "triggers"]]
    body = {"name": str(uuid4()), "config": {"steps": []}, "triggerType": "schedule"}
    assert (await us.post("/automations", json=body)).status_code == 422


async def test_the_form_with_one_action_has_a_trigger(us: Organization) -> None:
    config = {"action": {"kind": "wait", "definition": {"seconds": 0}}, "schedule": "0 0 1 1 *", "timezone": "UTC"}
    body = {"name": str(uuid4()), "config": config, "triggerType": "schedule"}
    made = (await us.post("/automations", json=body)).json()
    assert (await us.post(f"/automations/{made['id']}/versions/1/publish")).status_code == 200
    (trigger,) = (await us.get(f"/automations/{made['id']}/triggers")).json()["items"]
    assert (trigger["key"], trigger["config"]["timezone"]) == ("schedule", "UTC")


async def test_a_line_or_zone_that_cannot_be_read_is_told_by_path(us: Organization) -> None:
    triggers = [NEW_YEAR | {"schedule": "99 * * * *"}, NEW_YEAR | {"key": "b", "timezone": "Mars/Base"}]
    refused = await us.post("/automations", json={"name": "x", "config": {"steps": [], "triggers": triggers}})
    assert refused.status_code == 422
    assert [fault["loc"][2:] for fault in refused.json()["detail"]] == [
        ["triggers", 0, "schedule"],
        ["triggers", 1, "timezone"],
    ]


async def test_a_preview(us: Organization) -> None:
    asked = {"cronExpression": "30 2 * * *", "timezone": "Europe/Berlin", "count": 3}
    found = (await us.post("/scheduling/cron-preview", json=asked)).json()["nextRuns"]
    times = [datetime.fromisoformat(one) for one in found]
    assert len(times) == 3
    assert times == sorted(times)
    default = await us.post("/scheduling/cron-preview", json={"cronExpression": "* * * * *"})
    assert len(default.json()["nextRuns"]) == 5


@pytest.mark.parametrize(
    "body, place",
    [
        ({"cronExpression": "nonsense"}, "cronExpression"),
        ({}, "cronExpression"),
        ({"cronExpression": "* * * * *", "timezone": "Nowhere"}, "timezone"),
        ({"cronExpression": "* * * * *", "count": 0}, "count"),
    ],
)
async def test_a_preview_that_cannot_be_given(us: Organization, body: dict[str, Any], place: str) -> None:
    answer = await us.post("/scheduling/cron-preview", json=body)
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", place]]


@pytest.mark.parametrize("key", ["schedule:x:1", "webhook:x", "event:x"])
async def test_keys_of_triggers_are_theirs_alone(us: Organization, key: str) -> None:
    automation_id = await us.define(step("a"))
    answer = await us.post(f"/automations/{automation_id}/runs", headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
