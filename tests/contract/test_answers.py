"""Real answers of a real server are as the contract's page has them, fact by fact."""

import re
from typing import Any

import pytest

from tests.contract import facts
from tests.contract.conftest import Answers
from tests.contract.facts import Field, Operation

Json = dict[str, Any]

TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS = [
    pytest.param(operation, path, fact, id=f"{operation.id}-{path}")
    for operation in facts.OPERATIONS
    for path, fact in facts.fields_of(operation)
]
OPERATIONS = [pytest.param(operation.title, id=operation.id) for operation in facts.OPERATIONS]


def values_at(body: Json, path: str) -> list[Any]:
    """Every value of a field in an answer. A missing field is an error."""
    found: list[Any] = [body]
    for part in path.split("."):
        name = part.removesuffix("[]")
        found = [value[name] for value in found]
        if part.endswith("[]"):
            found = [item for value in found for item in value]
    return found


def fits(value: Any, fact: Field) -> bool:
    if value is None:
        return fact.nullable
    if fact.type == "date-time":
        return isinstance(value, str) and TIMES.fullmatch(value) is not None
    if fact.type == "array of string":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if fact.type.startswith("array"):
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if fact.is_enum:
        return value in fact.members
    if isinstance(value, bool):
        return fact.type == "boolean"
    types = {"string": str, "number": (int, float), "integer": int, "object": dict, "boolean": bool}
    return isinstance(value, types[fact.type])


@pytest.mark.parametrize("operation, path, fact", FIELDS)
def test_the_field_is_there_with_its_type(answers: Answers, operation: Operation, path: str, fact: Field) -> None:
    values = [value for body in answers.bodies[operation.title] for value in values_at(body, path)]
    assert values
    assert [value for value in values if not fits(value, fact)] == []


@pytest.mark.parametrize("fact", [pytest.param(fact, id=fact.name) for fact in facts.RUN])
def test_each_field_of_a_run_was_seen_with_a_value(answers: Answers, fact: Field) -> None:
    if fact.name == "externalJobId":
        pytest.skip("only another orchestrator has jobs")
    seen = [value for body in answers.bodies["Get Run"] for value in values_at(body, fact.name)]
    assert any(value is not None for value in seen)


@pytest.mark.parametrize("fact", [pytest.param(fact, id=fact.name) for fact in facts.STEP])
def test_each_field_of_a_step_was_seen_with_a_value(answers: Answers, fact: Field) -> None:
    seen = [value for body in answers.bodies["Get Run Steps"] for value in values_at(body, f"steps[].{fact.name}")]
    assert any(value is not None for value in seen)
    assert not fact.nullable or None in seen


def test_the_error_of_a_run_and_of_a_step(answers: Answers) -> None:
    run = next(body for body in answers.bodies["Get Run"] if body["status"] == "failed")
    assert set(run["error"]) == {"type", "message", "failedSteps"}
    assert run["error"]["failedSteps"] == ["b"]
    steps = [step for body in answers.bodies["Get Run Steps"] for step in body["steps"] if step["error"]]
    assert set(steps[0]["error"]) == {"type", "message", "retryable", "details"}


def test_a_result_that_is_no_object_is_put_into_one(answers: Answers) -> None:
    results = [step["result"] for body in answers.bodies["Get Run Steps"] for step in body["steps"]]
    assert {"rows": 3} in results
    assert {"value": 5} in results


def test_the_seven_counts_sum_to_the_steps(answers: Answers) -> None:
    names = [fact.name for fact in facts.STEPS if fact.type == "integer"] + list(facts.ADDED_COUNTS)
    assert len(names) == 7
    for body in answers.bodies["Get Run Steps"]:
        assert sum(body[name] for name in names) == len(body["steps"])
        for name in names:
            status = re.sub("[A-Z]", lambda c: f"_{c.group().lower()}", name.removesuffix("Count"))
            assert body[name] == sum(step["status"] == status for step in body["steps"])


# --- lists -------------------------------------------------------------------------------------------------


def test_limit_is_100_and_offset_0_unless_told(answers: Answers) -> None:
    assert len(answers.lists[""]["items"]) == 100
    assert answers.lists[""] == answers.lists["?limit=100&offset=0"]


def test_limit_takes_0_and_1000(answers: Answers) -> None:
    assert answers.lists["?limit=0"]["items"] == []
    everything = answers.lists["?limit=1000"]
    assert len(everything["items"]) == everything["total"] == answers.lists["?limit=0"]["total"] > 100


def test_offset_skips_and_has_no_upper_bound(answers: Answers) -> None:
    ids = [run["id"] for run in answers.lists["?limit=5"]["items"]]
    assert [run["id"] for run in answers.lists["?offset=3&limit=2"]["items"]] == ids[3:5]
    beyond = answers.lists["?offset=99999999999999999999"]
    assert (beyond["items"], beyond["total"]) == ([], answers.lists[""]["total"])


def test_lists_are_newest_first(answers: Answers) -> None:
    times = [run["createdAt"] for run in answers.lists["?limit=1000"]["items"]]
    assert times == sorted(times, reverse=True)


def test_status_filters_and_may_be_repeated(answers: Answers) -> None:
    one, two = answers.lists["?status=failed"], answers.lists["?status=failed&status=cancelled"]
    assert {run["status"] for run in one["items"]} == {"failed"}
    assert {run["status"] for run in two["items"]} == {"failed", "cancelled"}
    assert (len(one["items"]), len(two["items"])) == (one["total"], two["total"])


# --- the 422 body ------------------------------------------------------------------------------------------

PLACES = {
    **{f"List All Runs limit={value}": ["query", "limit"] for value in ("1001", "-1", "x")},
    **{f"List All Runs offset={value}": ["query", "offset"] for value in ("-1", "x")},
    "List All Runs status=nonsense": ["query", "status", 0],
    **{
        f"{title} run_id": ["path", "run_id"]
        for title in ("Get Run", "Cancel Run", "Stream Run Events", "Retry Run", "Get Run Steps")
    },
    "Retry Run mode": ["body", "mode"],
    "Retry Run stepKey missing": ["body", "stepKey"],
    "Retry Run stepKey unknown": ["body", "stepKey"],
    "Retry Run stepKey with another mode": ["body", "stepKey"],
}


@pytest.mark.parametrize("case", PLACES)
def test_what_is_wrong_is_told_in_the_documented_body(answers: Answers, case: str) -> None:
    response = answers.refused[case]
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"detail"}
    (item,) = body["detail"]
    assert set(item) == {fact.name for fact in facts.ERROR_ITEM}
    assert item["loc"] == PLACES[case]
    assert item["msg"]
    assert item["type"]


# --- credentials and the stream ----------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [parameter.name for parameter in facts.CREDENTIALS])
@pytest.mark.parametrize("title", OPERATIONS)
def test_each_credential_opens_each_operation(answers: Answers, title: str, credential: str) -> None:
    assert answers.by_credential[title, credential] == 200


@pytest.mark.parametrize("credential", ["none", "bad"])
@pytest.mark.parametrize("title", OPERATIONS)
def test_without_a_good_one_each_operation_is_closed(answers: Answers, title: str, credential: str) -> None:
    assert answers.by_credential[title, credential] == 401


def test_the_answer_of_the_stream(answers: Answers) -> None:
    assert answers.stream is not None
    assert answers.stream.headers["content-type"].startswith("text/event-stream")
    assert answers.stream.text.startswith("id: 1\nevent: run.created\ndata: {")
