"""Templates against their kinds: what expressions stand for is taken to fit, all else is told at once."""

from typing import Any

import pytest

from vai.ports import Actions

FILES = {"type": "filesystem", "tables": [{"name": "t", "path": "x.csv"}]}
DUCKDB = {"type": "duckdb", "database": "x.duckdb"}


@pytest.mark.parametrize(
    "kind, template",
    [
        ("wait", {"seconds": "{{ input.seconds }}"}),
        ("wait", "{{ input.wait }}"),
        ("wait", {"until": "2026-01-01T00:00:00Z"}),
        ("http_request", {"url": "{{ input.url }}/a", "method": "{{ input.method }}", "timeoutSeconds": "{{ 1 }}"}),
        ("http_request", {"url": "https://x", "expectedStatuses": [200, "{{ input.also }}"]}),
        ("http_request", {"url": "https://x", "headers": "{{ input.headers }}"}),
        ("conditional_branch", {"cases": [{"when": "input.x > 1", "steps": ["a"]}]}),
        ("dlt_extract", {"source": FILES, "destination": {"type": "{{ input.to }}", "database": "x"}}),
        ("dlt_extract", {"source": "{{ input.source }}", "destination": DUCKDB}),
        ("duckdb_transform", {"database": "x", "sql": "select {{ input.x }}", "maxRows": "{{ input.n }}"}),
    ],
)
def test_a_good_template(kinds: Actions, kind: str, template: Any) -> None:
    action = kinds.get(kind)
    assert action is not None
    assert list(action.check(template)) == []


@pytest.mark.parametrize(
    "kind, template, faults",
    [
        ("wait", None, [((), "give exactly one of seconds, duration, until and event")]),
        ("wait", {"seconds": 1, "duration": "1s"}, [((), "give exactly one of seconds, duration, until and event")]),
        ("wait", {"duration": "soon"}, [(("duration",), "is not a duration such as 90s, 5m, 1h30m or 2d")]),
        ("wait", {"until": "2026-01-01T00:00:00"}, [(("until",), "Input should have timezone info")]),
        (
            "http_request",
            {"url": "ftp://x", "methd": "GET", "expectedStatuses": [200, 42]},
            [
                (("url",), "must begin with http:// or https://"),
                (("expectedStatuses", 1), "Input should be greater than or equal to 100"),
                (("methd",), "unknown field; did you mean 'method'?"),
            ],
        ),
        ("http_request", {"url": "http://x", "json": 1, "body": "x"}, [((), "give json or body, not both")]),
        (
            "conditional_branch",
            {"cases": [{"when": "x"}, {"if": "x", "steps": []}]},
            [
                (("cases", 0, "steps"), "is required"),
                (("cases", 1, "when"), "is required"),
                (("cases", 1, "if"), "unknown field; known are: name, steps, when"),
            ],
        ),
        (
            "dlt_extract",
            {"source": {"type": "filesystem", "tables": [{"name": "t", "pth": "x"}]}, "destination": DUCKDB},
            [
                (("source", "tables", 0, "path"), "is required"),
                (("source", "tables", 0, "pth"), "unknown field; did you mean 'path'?"),
            ],
        ),
        (
            "dlt_extract",
            {"source": FILES, "destination": DUCKDB, "writeDisposition": "merge"},
            [((), "writeDisposition merge needs a primaryKey (table t)")],
        ),
        ("duckdb_transform", {"database": "x"}, [((), "give sql, statements or expectations")]),
    ],
)
def test_every_fault_with_its_place(kinds: Actions, kind: str, template: Any, faults: list[Any]) -> None:
    action = kinds.get(kind)
    assert action is not None
    assert [(fault.loc, fault.msg) for fault in action.check(template)] == faults


def test_the_tag_of_a_union_must_be_known(kinds: Actions) -> None:
    action = kinds.get("dlt_extract")
    assert action is not None
    (fault,) = action.check({"source": {"type": "ftp"}, "destination": DUCKDB})
    assert fault.loc == ("source",)
    assert "'filesystem', 'sql_database', 'rest_api'" in fault.msg


def test_every_built_in_kind_says_what_it_is(kinds: Actions) -> None:
    for action in kinds.all():
        assert action.title
        assert action.description
        assert action.available
        assert action.definition_schema["type"] == "object"
