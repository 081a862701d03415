"""Starting, cancelling and retrying runs over HTTP, and what their steps show."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.api import actions
from tests.api.site import Json, Organization, soon, step

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- starting ----------------------------------------------------------------------------------------------


async def test_a_started_run_says_where_it_is(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    started = await us.post(f"/automations/{automation_id}/runs", json={"concurrencyKey": "eu"})
    run = started.json()
    assert started.status_code == 201
    assert started.headers["location"] == f"/api/v1/automation-runs/{run['id']}"
    assert (run["automationId"], run["versionNumber"], run["concurrencyKey"]) == (automation_id, 1, "eu")
    assert (run["triggerType"], run["orchestratorType"], run["attempt"]) == ("manual", "dag", 1)


@pytest.mark.parametrize("body", [{}, {"json": {}}, {"json": {"input": None}}, {"content": b""}])
async def test_a_run_needs_no_body(us: Organization, body: dict[str, object]) -> None:
    automation_id = await us.define(step("a"))
    assert (await us.post(f"/automations/{automation_id}/runs", **body)).status_code == 201


async def test_the_input_reaches_the_steps(us: Organization) -> None:
    automation_id = await us.define(step("a", value="{{ input.region }}"))
    run = await us.start(automation_id, input={"region": "eu"})
    await us.final(run["id"])
    steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert steps[0]["result"] == {"value": "eu"}


async def test_an_input_that_does_not_fit_is_refused_with_its_place(us: Organization) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    automation_id = await us.define(step("a"), inputs=schema)
    refused = await us.post(f"/automations/{automation_id}/runs", json={"input": {"n": "x"}})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "input", "n"]
    assert (await us.get(f"/automations/{automation_id}/runs")).json()["total"] == 0


async def test_a_version_is_chosen_by_its_number(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    await us.http.patch(f"/automations/{automation_id}", json={"config": {"steps": [step("b")]}})
    draft = await us.post(f"/automations/{automation_id}/runs", json={"versionNumber": 2})
    assert (draft.status_code, draft.json()["type"]) == (409, "/errors/not-startable")
    await us.post(f"/automations/{automation_id}/versions/2/publish")
    assert (await us.start(automation_id))["versionNumber"] == 2
    assert (await us.start(automation_id, versionNumber=1))["versionNumber"] == 1
    assert (await us.post(f"/automations/{automation_id}/runs", json={"versionNumber": 3})).status_code == 404


async def test_an_automation_without_an_active_version_starts_nothing(us: Organization) -> None:
    made = await us.post("/automations", json={"name": "draft", "config": {"steps": [step("a")]}})
    refused = await us.post(f"/automations/{made.json()['id']}/runs")
    assert refused.status_code == 409
    assert "Publish" in refused.json()["detail"]


async def test_a_large_input_is_checked_like_any_other(us: Organization) -> None:
    automation_id = await us.define(step("a"), inputs={"items": {"type": "integer"}})
    path = f"/automations/{automation_id}/runs"
    assert (await us.post(path, json={"input": [1] * 5_000})).status_code == 201
    refused = await us.post(path, json={"input": [*[1] * 5_000, "x"]})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "input", 5_000])


# --- idempotency -------------------------------------------------------------------------------------------


async def test_a_key_finds_its_run_although_it_could_not_be_started_any_more(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    path, key = f"/automations/{automation_id}", {"Idempotency-Key": str(uuid4())}
    first = await us.post(f"{path}/runs", json={"input": {"n": 1}}, headers=key)
    stricter = {"inputs": {"required": ["m"]}, "steps": [step("a")]}
    await us.post(f"{path}/versions", json={"config": stricter})
    await us.post(f"{path}/versions/2/publish")
    again = [await us.post(f"{path}/runs", json={"input": {"n": 1}}, headers=key)]
    await us.post(f"{path}/versions/2/archive")
    again += [await us.post(f"{path}/runs", json={"input": {"n": 1}}, headers=key)]
    assert [(answer.status_code, answer.json()["id"]) for answer in again] == [(200, first.json()["id"])] * 2
    other = await us.post(f"{path}/runs", json={"input": {"n": 2}}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "/errors/idempotency-mismatch")


async def test_asked_many_times_at_once_with_one_key_one_run_is_started(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    path, key = f"/automations/{automation_id}/runs", {"Idempotency-Key": str(uuid4())}
    answers = await asyncio.gather(*(us.post(path, json={"input": {"n": 1}}, headers=key) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [200] * 29 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    for answer in answers:
        assert answer.headers.get("idempotent-replayed") == ("true" if answer.status_code == 200 else None)
    assert (await us.get(path)).json()["total"] == 1


async def test_a_key_that_was_used_for_another_request_is_refused(us: Organization) -> None:
    automation_id = await us.define(step("a"))
    path, key = f"/automations/{automation_id}/runs", {"Idempotency-Key": str(uuid4())}
    await us.post(path, json={"input": {"n": 1}}, headers=key)
    refused = await us.post(path, json={"input": {"n": 2}}, headers=key)
    assert (refused.status_code, refused.json()["type"]) == (409, "/errors/idempotency-mismatch")


@pytest.mark.parametrize("key", ["", "x" * 256, "é"])
async def test_a_key_has_its_bounds(us: Organization, key: str) -> None:
    automation_id = await us.define(step("a"))
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = await us.post(f"/automations/{automation_id}/runs", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


# --- cancelling --------------------------------------------------------------------------------------------


async def test_a_running_run_is_cancelled(us: Organization) -> None:
    name = str(uuid4())
    with actions.gate(name):
        run = await us.run(step("a", "wait_at", name=name), step("b", depends_on=["a"]))
        await us.until(run["id"], "step.started")
        asked = (await us.post(f"/automation-runs/{run['id']}/cancel")).json()
        assert asked["cancelRequestedAt"] is not None
        final = await us.final(run["id"])
    assert (final["status"], final["completedAt"] is not None) == ("cancelled", True)
    found = (await us.get(f"/automation-runs/{run['id']}/steps")).json()
    assert (found["cancelledCount"], [step["status"] for step in found["steps"]]) == (2, ["cancelled"] * 2)


async def test_cancelling_a_final_run_changes_nothing(us: Organization) -> None:
    run = await us.finished(step("a"))
    assert (await us.post(f"/automation-runs/{run['id']}/cancel")).json() == run


# --- retrying ----------------------------------------------------------------------------------------------


async def tried(us: Organization, run_id: str) -> dict[str, tuple[str, int]]:
    """Status and attempt of each step."""
    steps = (await us.get(f"/automation-runs/{run_id}/steps")).json()["steps"]
    return {step["key"]: (step["status"], step["attempt"]) for step in steps}


@pytest.mark.parametrize(
    "body, attempts",
    [
        (None, {"a": 1, "b": 2, "c": 2, "d": 1}),
        ({}, {"a": 1, "b": 2, "c": 2, "d": 1}),
        ({"mode": "from_failed"}, {"a": 1, "b": 2, "c": 2, "d": 1}),
        ({"mode": "from_failed", "stepKey": None}, {"a": 1, "b": 2, "c": 2, "d": 1}),
        ({"mode": "from_step", "stepKey": "b"}, {"a": 1, "b": 2, "c": 2, "d": 1}),
        ({"mode": "from_step", "stepKey": "d"}, {"a": 1, "b": 2, "c": 2, "d": 2}),
        ({"mode": "from_step", "stepKey": "a"}, {"a": 2, "b": 2, "c": 2, "d": 1}),
        ({"mode": "full"}, {"a": 2, "b": 2, "c": 2, "d": 2}),
    ],
)
async def test_each_mode_runs_again_what_it_should(
    us: Organization, body: dict[str, str] | None, attempts: dict[str, int]
) -> None:
    name = str(uuid4())
    failed = await us.finished(step("a"), step("b", "broken", ["a"], name=name), step("c", depends_on=["b"]), step("d"))
    assert failed["status"] == "failed"
    assert await tried(us, failed["id"]) == {
        **{"a": ("completed", 1), "b": ("failed", 1), "c": ("skipped", 1), "d": ("completed", 1)}
    }
    actions.mend(name)
    options = {} if body is None else {"json": body}
    plan = (await us.post(f"/automation-runs/{failed['id']}/retry-plan", **options)).json()
    retried = await us.post(f"/automation-runs/{failed['id']}/retry", **options)
    assert (retried.status_code, retried.json()["attempt"], retried.json()["id"]) == (200, 2, failed["id"])
    final = await us.final(failed["id"])
    assert (final["status"], final["error"], final["versionNumber"]) == ("completed", None, 1)
    assert await tried(us, failed["id"]) == {key: ("completed", attempt) for key, attempt in attempts.items()}
    assert plan["attempt"] == 2
    assert {entry["key"]: entry["action"] for entry in plan["steps"]} == {
        key: "rerun" if attempt == 2 else "reuse" for key, attempt in attempts.items()
    }
    assert sum(plan["counts"].values()) == 4
    earlier = (await us.get(f"/automation-runs/{failed['id']}/steps?attempt=1")).json()
    assert [step["status"] for step in earlier["steps"]] == ["completed", "failed", "skipped", "completed"]


async def test_the_plan_changes_nothing(us: Organization) -> None:
    run = await us.finished(step("a"))
    log = await us.log(run["id"])
    assert (await us.post(f"/automation-runs/{run['id']}/retry-plan", json={"mode": "full"})).status_code == 200
    assert (await us.get(f"/automation-runs/{run['id']}")).json() == run
    assert await us.log(run["id"]) == log


@pytest.mark.parametrize("operation", ["retry", "retry-plan"])
async def test_a_run_that_is_not_final_is_not_retried(us: Organization, operation: str) -> None:
    name = str(uuid4())
    with actions.gate(name):
        run = await us.run(step("a", "wait_at", name=name))
        refused = await us.post(f"/automation-runs/{run['id']}/{operation}", json={"mode": "full"})
        assert (refused.status_code, refused.json()["type"]) == (409, "/errors/not-final")
        await us.post(f"/automation-runs/{run['id']}/cancel")


@pytest.mark.parametrize("operation", ["retry", "retry-plan"])
async def test_from_failed_on_a_completed_run_has_nothing_to_do(us: Organization, operation: str) -> None:
    run = await us.finished(step("a"))
    refused = await us.post(f"/automation-runs/{run['id']}/{operation}")
    assert (refused.status_code, refused.json()["type"]) == (409, "/errors/nothing-to-retry")


async def test_a_retry_asked_twice_at_once_is_one_attempt(us: Organization) -> None:
    name = str(uuid4())
    with actions.gate(name) as gate:
        gate.set()
        run = await us.finished(step("a", "wait_at", name=name))
        gate.clear()
        path = f"/automation-runs/{run['id']}/retry"
        answers = await asyncio.gather(*(us.post(path, json={"mode": "full"}) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
        gate.set()
        assert (await us.final(run["id"]))["attempt"] == 2


# --- steps, action runs, artifacts -------------------------------------------------------------------------


@pytest.mark.parametrize("attempt, status", [("1", 200), ("2", 404), ("0", 422), ("x", 422), ("9" * 20, 422)])
async def test_the_attempt_asked_for(us: Organization, attempt: str, status: int) -> None:
    run = await us.finished(step("a"))
    assert (await us.get(f"/automation-runs/{run['id']}/steps?attempt={attempt}")).status_code == status


async def test_a_large_result_is_a_preview_with_the_whole_beside_it(us: Organization) -> None:
    run = await us.finished(step("a", "large", size=70_000), step("b"))
    large, small = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert (large["resultTruncated"], small["resultTruncated"]) == (True, False)
    assert len(str(large["result"])) < 70_000
    known = (await us.get(f"/artifacts/{large['artifactId']}")).json()
    assert (known["kind"], known["automationRunId"]) == ("json", run["id"])
    assert known["actionRunId"] == large["actionRunId"]
    content = await us.get(f"/artifacts/{large['artifactId']}/content")
    assert content.json() == {"text": "x" * 70_000}
    assert content.headers["x-content-type-options"] == "nosniff"


async def two_action_runs(us: Organization) -> Json:
    """A run whose step a completed and whose step b failed, begun in different milliseconds: ids order by those."""
    name = str(uuid4())
    with actions.gate(name) as gate:
        run = await us.run(step("a", "wait_at", name=name), step("b", "broken", ["a"], name="never"))
        *_, started = await us.until(run["id"], "step.started")
        began = datetime.fromisoformat(started.data["occurredAt"])
        await soon(lambda: datetime.now(UTC) - began > timedelta(milliseconds=2))
        gate.set()
        return {**await us.final(run["id"]), "gate": name}


async def test_action_runs_are_the_executions_of_steps(us: Organization) -> None:
    run = await two_action_runs(us)
    listed = (await us.get("/action-runs")).json()
    assert set(listed) == {"runs", "hasNext", "limit", "offset", "total", "users"}
    assert (listed["hasNext"], listed["limit"], listed["offset"], listed["total"]) == (False, 100, 0, 2)
    newest, oldest = listed["runs"]
    assert (newest["stepKey"], newest["status"], newest["error"]["type"]) == ("b", "failed", "broken")
    assert (oldest["kind"], oldest["definition"]) == ("wait_at", {"name": run["gate"]})
    assert (oldest["result"], oldest["automationRunId"]) == ({"value": run["gate"]}, run["id"])
    assert oldest["idempotencyKey"] == f"{run['id']}:a:1"
    assert (await us.get(f"/action-runs/{oldest['id']}")).json() == oldest


@pytest.mark.parametrize(
    "query, keys",
    [
        ("kind=broken", ["b"]),
        ("status=completed", ["a"]),
        ("limit=1", ["b"]),
        ("limit=1&offset=1", ["a"]),
        ("offset=99999999999999999999", []),
        ("automation_run_id={run}", ["b", "a"]),
        ("automation_run_id={other}", []),
        ("action_id=x", []),
        ("parent_action_run_id=x", []),
    ],
)
async def test_action_runs_are_filtered(us: Organization, query: str, keys: list[str]) -> None:
    run = await two_action_runs(us)
    listed = (await us.get(f"/action-runs?{query.format(run=run['id'], other=uuid4())}")).json()
    assert [found["stepKey"] for found in listed["runs"]] == keys
    assert listed["hasNext"] is (query == "limit=1")


async def test_a_step_in_backoff_says_until_when(us: Organization) -> None:
    waits = {**step("a", "broken", name="never"), "retry": {"maxAttempts": 2, "initialSeconds": 600, "on": ["broken"]}}
    waits["retry"]["maxSeconds"] = 600
    run = await us.run(waits)
    await us.until(run["id"], "step.retry_scheduled")
    (found,) = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert (found["status"], found["tries"]) == ("pending", 1)
    assert found["nextAttemptAt"].endswith("Z")
    assert (await us.get(f"/action-runs/{found['actionRunId']}")).json()["displayStatus"] == "retrying"
    cancelled = (await us.post(f"/automation-runs/{run['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"


async def test_a_step_on_a_timer_says_until_when(us: Organization) -> None:
    run = await us.run(step("a", "wait", seconds=600))
    await us.until(run["id"], "step.waiting")
    (found,) = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert found["status"] == "running"
    assert found["waitUntil"].endswith("Z")
    await us.post(f"/automation-runs/{run['id']}/cancel")
