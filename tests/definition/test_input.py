"""A run's input against the definition's `inputs`, and which schemas are taken."""

import http.server
import threading
from typing import Any

import pytest

from tests.definition.kinds import KINDS
from vai.definition import InvalidDefinition, check_input, parse
from vai.definition.parse import given_input

SCHEMA = {
    "type": "object",
    "required": ["region"],
    "properties": {
        "region": {"enum": ["eu", "us"]},
        "limit": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 3}, "uniqueItems": True},
        "nested": {"$ref": "#/$defs/nested"},
    },
    "additionalProperties": False,
    "$defs": {"nested": {"type": ["object", "null"], "required": ["a", "b"]}},
}


@pytest.mark.parametrize(
    "value, faults",
    [
        ({"region": "eu", "limit": 1, "names": ["a"], "nested": None}, {}),
        (None, {("region",): "This field is required."}),
        ({}, {("region",): "This field is required."}),
        ([], {(): "It should be of type object, not a list."}),
        ({"region": "xx"}, {("region",): "It should be one of ['eu', 'us']."}),
        ({"region": "eu", "limit": 0}, {("limit",): "It should be at least 1."}),
        ({"region": "eu", "limit": 10}, {("limit",): "It should be less than 10."}),
        ({"region": "eu", "limit": "3"}, {("limit",): "It should be of type integer, not text."}),
        ({"region": "eu", "limits": 3}, {("limits",): "There is no field 'limits'. Did you mean 'limit'?"}),
        (
            {"region": "eu", "names": ["abcd", 1, 1]},
            {
                ("names",): "Its elements should all differ.",
                ("names", 0): "It should have at most 3 characters.",
                ("names", 1): "It should be of type string, not a number.",
                ("names", 2): "It should be of type string, not a number.",
            },
        ),
        (
            {"region": "eu", "nested": {}},
            {("nested", "a"): "This field is required.", ("nested", "b"): "This field is required."},
        ),
    ],
)
def test_every_fault_of_an_input_is_told(value: Any, faults: dict[Any, str]):
    definition = parse({"inputs": SCHEMA}, KINDS)
    assert {fault.loc: fault.msg for fault in check_input(definition, value)} == faults


@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": {"b": 1}}])
def test_without_inputs_anything_is_taken(value: Any):
    assert check_input(parse({}, KINDS), value) == ()


@pytest.mark.parametrize("config", [{}, {"inputs": {}}])
@pytest.mark.parametrize("value", ["\0", float("inf"), {"a": "\ud800"}])
def test_what_cannot_be_stored_is_no_input(config: Any, value: Any):
    assert len(check_input(parse(config, KINDS), value)) == 1


@pytest.mark.parametrize("schema, value", [({"type": "object"}, {}), ({"type": "array"}, None), (None, None)])
def test_no_input_is_an_empty_object_where_one_is_asked_for(schema: Any, value: Any):
    assert given_input(parse({"inputs": schema}, KINDS), None) == value


@pytest.mark.parametrize(
    "schema, place",
    [
        ({"type": "objekt"}, ("type",)),
        ({"properties": {"a": {"minimum": "x"}}}, ("properties", "a", "minimum")),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, ("properties", "a", "$ref")),
        ({"$ref": "#"}, ()),
        ({"$ref": "#/$defs/nope"}, ()),
        ({"patternProperties": {"[": {}}}, ("patternProperties",)),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, ("properties", "a", "pattern")),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}}, ()),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, place: tuple[str, ...]):
    with pytest.raises(InvalidDefinition) as caught:
        parse({"inputs": schema}, KINDS)
    assert [fault.loc for fault in caught.value.faults] == [("inputs", *place)]


def test_an_endless_schema_is_answered():
    definition = parse(
        {"inputs": {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"$ref": "#/$defs/x"}}}}, KINDS
    )
    assert [fault.type for fault in check_input(definition, {"a": 1})] == ["json_schema"]


def test_a_schema_never_makes_the_server_fetch_anything():
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/schema.json"
        try:
            with pytest.raises(InvalidDefinition):
                parse({"inputs": {"$ref": url}}, KINDS)
            unseen = {"x": {"$id": url, "$ref": "#/z"}}  # a base of its own, where references are not looked for
            with pytest.raises(InvalidDefinition):
                parse({"inputs": {"$ref": "#/unseen/x", "unseen": unseen}}, KINDS)
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


# --- bounded time: each of these stopped the whole server for minutes, or for good --------------------------

_BACKTRACKS = "^(a+)+$"
_LONG = "a" * 50 + "!"


@pytest.mark.parametrize(
    "schema, value",
    [
        ({"pattern": _BACKTRACKS}, _LONG),
        ({"properties": {"x": {"pattern": _BACKTRACKS}}}, {"x": _LONG}),
        ({"patternProperties": {_BACKTRACKS: {}}, "additionalProperties": False}, {_LONG: 1}),
        ({"propertyNames": {"pattern": _BACKTRACKS}}, {_LONG: 1}),
        ({"allOf": [{"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": _BACKTRACKS}]}, _LONG),
    ],
)
def test_no_pattern_backtracks(schema: Any, value: Any):
    assert len(check_input(parse({"inputs": schema}, KINDS), value)) == 1


@pytest.mark.parametrize("last, faults", [({"i": 19_999}, 0), ({"i": 0}, 1), ({"i": 0.0}, 1), ({"i": False}, 0)])
def test_elements_are_compared_once_each(last: Any, faults: int):
    definition = parse({"inputs": {"uniqueItems": True}}, KINDS)
    value = [*({"i": number} for number in range(19_999)), last]
    assert len(check_input(definition, value)) == faults


def _doubling(levels: int, last: Any) -> dict[str, Any]:
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": last}}


def test_a_schema_that_multiplies_itself_is_refused():
    with pytest.raises(InvalidDefinition, match="too long"):
        parse({"inputs": _doubling(40, {})}, KINDS)


def test_a_schema_that_multiplies_itself_over_a_field_only_costs_that_input():
    definition = parse({"inputs": {"properties": {"a": _doubling(40, {})}, "$defs": _doubling(40, {})["$defs"]}}, KINDS)
    assert check_input(definition, {}) == ()
    assert [fault.type for fault in check_input(definition, {"a": 1})] == ["json_schema"]


def test_a_large_input_is_checked_whole():
    definition = parse({"inputs": {"items": {"type": "integer", "minimum": 0}}}, KINDS)
    assert check_input(definition, [1] * 50_000) == ()
    assert [fault.loc for fault in check_input(definition, [*[1] * 50_000, -1])] == [(50_000,)]
