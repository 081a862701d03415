"""The generated OpenAPI document says what the contract's page says, fact by fact."""

from typing import Any

import pytest

from tests.contract import facts
from tests.contract.conftest import Answers
from tests.contract.facts import Field, Operation, Parameter

Json = dict[str, Any]

PARAMETERS = [
    pytest.param(operation, parameter, id=f"{operation.id}-{parameter.name}")
    for operation in facts.OPERATIONS
    for parameter in operation.parameters
]
FIELDS = [
    pytest.param(operation, path, fact, id=f"{operation.id}-{path}")
    for operation in facts.OPERATIONS
    for path, fact in facts.fields_of(operation)
]
OPERATIONS = [pytest.param(operation, id=operation.id) for operation in facts.OPERATIONS]


def operation_of(document: Json, operation: Operation) -> Json:
    return dict(document["paths"][operation.path][operation.method.lower()])


def resolve(document: Json, schema: Json) -> Json:
    """A schema with its reference followed."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return {**document["components"]["schemas"][name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def variants(document: Json, schema: Json) -> list[Json]:
    """What a value may be, null among it."""
    return [resolve(document, option) for option in schema.get("anyOf", [schema])]


def parameter_of(document: Json, operation: Operation, name: str, place: str) -> Json:
    found = [
        parameter
        for parameter in operation_of(document, operation)["parameters"]
        if (parameter["name"].lower(), parameter["in"]) == (name.lower(), place)
    ]
    assert len(found) == 1
    return dict(found[0])


def answer_schema(document: Json, operation: Operation, status: str) -> Json:
    content = operation_of(document, operation)["responses"][status]["content"]["application/json"]
    return resolve(document, content["schema"])


def schema_at(document: Json, schema: Json, path: str) -> tuple[Json, Json]:
    """The schema of the object that has the field, and the field's own."""
    *way, last = path.split(".")
    for part in way:
        name = part.removesuffix("[]")
        schema = resolve(document, resolve(document, schema["properties"][name])["items"])
    return schema, schema["properties"][last]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_operation_is_there_under_its_title(answers: Answers, operation: Operation) -> None:
    assert operation_of(answers.document, operation)["summary"] == operation.title


def test_there_is_no_other_operation_of_the_group_but_the_added_plan(answers: Answers) -> None:
    found = {
        (method.upper(), path)
        for path, operations in answers.document["paths"].items()
        for method in operations
        if path.startswith(facts.PREFIX)
    }
    expected = {(operation.method, operation.path) for operation in facts.OPERATIONS}
    added = {("POST", f"{facts.PREFIX}/{{run_id}}/retry-plan"), ("GET", f"{facts.PREFIX}/{{run_id}}/explain")}
    added.add(("POST", f"{facts.PREFIX}/prune"))
    assert found - expected == added
    assert expected <= found


@pytest.mark.parametrize("operation, parameter", PARAMETERS)
def test_the_parameter_is_in_its_place(answers: Answers, operation: Operation, parameter: Parameter) -> None:
    found = parameter_of(answers.document, operation, parameter.name, parameter.place)
    assert found.get("required", False) is not parameter.optional


@pytest.mark.parametrize("operation, parameter", PARAMETERS)
def test_the_parameter_has_its_type(answers: Answers, operation: Operation, parameter: Parameter) -> None:
    found = parameter_of(answers.document, operation, parameter.name, parameter.place)
    options = variants(answers.document, found["schema"])
    types = [option["type"] for option in options]
    if parameter.repeatable:
        assert types == ["array", "null"]
        items = resolve(answers.document, options[0]["items"])
        assert (items["type"], tuple(items["enum"])) == ("string", facts.RUN_STATUSES)
    else:
        # A bar alone on the page is a type that the printer cannot name: text or null.
        assert types == ([parameter.type] if parameter.type else ["string", "null"])


@pytest.mark.parametrize("operation, parameter", PARAMETERS)
def test_the_parameter_has_its_default_range_and_format(
    answers: Answers, operation: Operation, parameter: Parameter
) -> None:
    schema = parameter_of(answers.document, operation, parameter.name, parameter.place)["schema"]
    found = tuple(schema.get(name) for name in ("default", "minimum", "maximum", "format"))
    assert found == (parameter.default, parameter.minimum, parameter.maximum, parameter.format)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_operation_takes_a_body_only_where_the_page_has_one(answers: Answers, operation: Operation) -> None:
    assert ("requestBody" in operation_of(answers.document, operation)) is bool(operation.request)


def test_the_body_of_retry(answers: Answers) -> None:
    operation = facts.OPERATION["Retry Run"]
    body = operation_of(answers.document, operation)["requestBody"]
    assert list(body["content"]) == ["application/json"]
    assert not body["required"]
    schema = resolve(answers.document, body["content"]["application/json"]["schema"])
    assert set(schema["properties"]) == {parameter.name for parameter in operation.request}
    assert "required" not in schema
    mode = resolve(answers.document, schema["properties"]["mode"])
    assert (mode["type"], tuple(mode["enum"]), mode["default"]) == ("string", facts.RETRY_MODES, "from_failed")
    step_key = schema["properties"]["stepKey"]
    assert [option["type"] for option in step_key["anyOf"]] == ["string", "null"]


@pytest.mark.parametrize("operation, path, fact", FIELDS)
def test_the_field_is_always_there(answers: Answers, operation: Operation, path: str, fact: Field) -> None:
    schema = answer_schema(answers.document, operation, "200")
    owner, _ = schema_at(answers.document, schema, path)
    assert fact.name in owner["required"]


@pytest.mark.parametrize("operation, path, fact", FIELDS)
def test_the_field_has_its_type(answers: Answers, operation: Operation, path: str, fact: Field) -> None:
    schema = answer_schema(answers.document, operation, "200")
    _, found = schema_at(answers.document, schema, path)
    options = variants(answers.document, found)
    assert ({"type": "null"} in options) is fact.nullable
    value = options[0]
    if fact.type == "date-time":
        assert (value["type"], value["format"]) == ("string", "date-time")
    elif fact.type.startswith("array"):
        assert value["type"] == "array"
        of = {"array of string": "string"}.get(fact.type, "object")
        assert resolve(answers.document, value["items"])["type"] == of
    else:
        assert value["type"] == fact.type
        assert "format" not in value
    assert tuple(value.get("enum", ())) == fact.members


def test_the_page_shows_the_first_member_or_one_of_each_enum() -> None:
    for fact in facts.RUN:
        if fact.is_enum:
            assert fact.shown in fact.members


@pytest.mark.parametrize("name", facts.ADDED_COUNTS)
def test_the_added_counts_of_steps(answers: Answers, name: str) -> None:
    schema = answer_schema(answers.document, facts.OPERATION["Get Run Steps"], "200")
    assert schema["properties"][name]["type"] == "integer"
    assert name in schema["required"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_operation_documents_the_422_body(answers: Answers, operation: Operation) -> None:
    schema = answer_schema(answers.document, operation, "422")
    assert schema["required"] == ["detail"]
    assert set(schema["properties"]) == {"detail"}
    item = resolve(answers.document, schema["properties"]["detail"]["items"])
    assert set(item["required"]) == set(item["properties"]) == {fact.name for fact in facts.ERROR_ITEM}
    assert item["properties"]["loc"]["type"] == "array"
    assert {option["type"] for option in item["properties"]["loc"]["items"]["anyOf"]} == {"string", "integer"}
    assert item["properties"]["msg"]["type"] == item["properties"]["type"]["type"] == "string"


def test_the_stream_is_an_event_stream(answers: Answers) -> None:
    operation = operation_of(answers.document, facts.OPERATION["Stream Run Events"])
    assert "text/event-stream" in operation["responses"]["200"]["content"]
