"""What expressions give: in definitions, in conditions and in branches."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.definition.kinds import noop, spec_of, state_of
from vai.definition import Expression, resolve
from vai.definition.scan import ExpressionInvalid
from vai.definition.scope import Scope
from vai.domain.graph import ExpressionFailed
from vai.domain.state import StepError

INPUT = {"n": 3, "f": 1.5, "s": "x", "none": None, "items": [1, {"id": 7}], "a-b": {"c": 1}, "big": 2**63}


def rendered(definition: Any, **given_values: Any) -> Any:
    """The definition of a step after the step `up`, rendered."""
    state = state_of({"steps": [noop("up"), noop("a", definition=definition)]}, **given_values)
    return resolve(spec_of(state, "a"), state)


def failure(definition: Any, **given_values: Any) -> ExpressionFailed:
    with pytest.raises(ExpressionFailed) as caught:
        rendered(definition, **given_values)
    return caught.value


@pytest.mark.parametrize(
    "template, value",
    [
        ("{{ input.n }}", 3),
        ("{{input}}", INPUT),
        ("{{ input.items[1].id }}", 7),
        ("{{ input['a-b'].c }}", 1),
        ("{{ input.big }}", 2**63),
        ("{{ input.none }}", None),
        ("n={{ input.n }}, {{ input.s }}", "n=3, x"),
        ("{{ input.items }} {{ input.none }} {{ true }}", '[1,{"id":7}] null true'),
        ("{{ input.n + 1 }}", 4),
        ("{{ {'a': {'b': input.n}} }}", {"a": {"b": 3}}),
        ("{{ '}}' + \"{{\" }}", "}}{{"),
        ("{{ input.items.map(i, type(i)) }}", ["int", "map"]),
        ("{{ has(input.zzz) }}", False),
        ("{{ has(input.n) && input.n > 2 }}", True),
        ("{{ 'n' in input }}", True),
        ("{{ input.none == null }}", True),
        ("{{ timestamp('2024-05-01T10:00:00Z') + duration('90s') }}", "2024-05-01T10:01:30.000Z"),
        ("{{ duration('90s') }}", "90s"),
        ("{{ b'ab' }}", "YWI="),
        ("{{ optional.none() }}", None),
        ("{{ {1: 2} }}", {"1": 2}),
        ("{{ run.id }}/{{ run.attempt }}/{{ run.automationId }}", "run-1/1/automation-1"),
        ("{{ run.createdAt }}", "2023-11-14T22:13:20.123Z"),
        ("{{ trigger.type }}-{{ trigger.sourceType }}-{{ trigger.sourceId }}", "manual-user-null"),
        ("{{payload}}", {"order": 1}),
        ("{{ payload.order }}", 1),
        ("{{ steps.up.status }}", "completed"),
        ("{{ steps.up.result.rows + 1 }}", 6),
        ("{{ steps.up.error }}", None),
        ("{{ size(steps['up'].result.list) }}", 2),
        ("{{ steps.up.result.list[input.n - 3] }}", 8),
        ("}} plain {", "}} plain {"),
    ],
)
def test_a_template_gives(template: str, value: Any):
    up = {"rows": 5, "list": [8, 9]}
    assert rendered({"deep": [1, template]}, input=INPUT, payload={"order": 1}, up=up) == {"deep": [1, value]}


def test_what_has_no_expressions_is_handed_on_as_it_is():
    config = {"steps": [noop("a", definition={"x": [1, "y"]})]}
    state = state_of(config)
    assert resolve(spec_of(state, "a"), state) is config["steps"][0]["definition"]


def test_a_path_hands_on_the_value_itself():
    large = {"rows": list(range(1000))}
    assert rendered("{{ steps.up.result }}", up=large) is large


def test_a_large_value_beside_the_path_is_not_copied():
    hostile: Any = {"rows": 5, "deep": []}
    inner = hostile["deep"]
    for _ in range(100_000):
        inner.append([])
        inner = inner[0]
    assert rendered("{{ steps.up.result.rows + 1 }}", up=hostile) == 6
    assert failure("{{ size(steps.up.result) }}", up=hostile).details["reason"] == "A value is nested too deep."


def test_the_error_of_a_step_is_in_scope():
    state = state_of(
        {"steps": [noop("up"), noop("a", definition="{{ steps.up.error }}")]}, up=StepError("timeout", "slow", True)
    )
    expected = {"type": "timeout", "message": "slow", "retryable": True, "details": {}}
    assert resolve(spec_of(state, "a"), state) == expected


@pytest.mark.parametrize(
    "expression, reason",
    [
        ("input.zzz", "input has no 'zzz'; it has n, f, s, none, items, a-b, big."),
        ("input.zzz > 1", "input has no 'zzz'; it has n, f, s, none, items, a-b, big."),
        ("input.none.a", "input.none is null, so it has no 'a'."),
        ("input.none.a == 1", "input.none is null, so it has no 'a'."),
        ("input.n.a.b", "input.n is a number, so it has no 'a'."),
        ("input.items[5]", "input.items has 2 elements, so there is no [5]."),
        ("input.items[5] + 1", "input.items has 2 elements, so there is no [5]."),
        ("steps.up.result.x", "steps.up.result is null (the step is pending), so it has no 'x'."),
        ("payload.x", "payload is null, so it has no 'x'."),
        (
            "input.s + 1",
            "Unsupported operation: string + int. "
            "Convert explicitly with int(x), uint(x), double(x) or string(x) as appropriate.",
        ),
        ("input.none > 1", "An operator or function was given values of types that do not go together."),
        ("input.n / 0", "Division by zero in CEL expression."),
        ("int('x')", "Function 'int' error: string parse error: invalid digit found in string."),
        ("1.0 / 0.0", "The value is not a finite number."),
    ],
)
def test_a_failure_says_why(expression: str, reason: str):
    error = failure(f"{{{{ {expression} }}}}", input=INPUT)
    assert error.details["reason"] == reason
    assert error.details["expression"] == expression
    assert error.details["names"] == ["input", "payload", "run", "steps.a", "steps.up", "trigger"]


@pytest.mark.parametrize("source, value", [("input.n > 2", True), ("steps.up.result.rows == 0", False)])
def test_a_condition_is_true_or_false(source: str, value: bool):
    state = state_of({"steps": [noop("up"), noop("a", **{"if": source})]}, input=INPUT, up={"rows": 5})
    condition = spec_of(state, "a").condition
    assert condition is not None
    assert condition(state) is value


@pytest.mark.parametrize("source", ["input.n", "input.none", "input.zzz", "'true'"])
def test_a_condition_that_is_neither_fails(source: str):
    state = state_of({"steps": [noop("a", **{"if": source})]}, input=INPUT)
    condition = spec_of(state, "a").condition
    assert condition is not None
    with pytest.raises(ExpressionFailed):
        condition(state)


def branch(*cases: tuple[str, str], n: int) -> Any:
    definition = {
        "cases": [{"name": name, "when": when, "steps": [name]} for name, when in cases],
        "default": ["other"],
    }
    config = {"steps": [{"key": "way", "kind": "conditional_branch", "definition": definition}, noop("other")]}
    config["steps"] += [noop(name) for name, _ in cases]
    state = state_of(config, input={"n": n})
    return resolve(spec_of(state, "way"), state)


@pytest.mark.parametrize(
    "n, matched", [(5, [True, False, False]), (1, [False, True, False]), (0, [False, False, True])]
)
def test_a_branch_takes_the_first_case_that_matches(n: int, matched: list[bool]):
    answer = branch(("big", "input.n > 3"), ("some", "input.n > 0"), ("none", "input.n <= 0 || input.zzz"), n=n)
    assert [case["matched"] for case in answer["cases"]] == matched
    assert [case["steps"] for case in answer["cases"]] == [["big"], ["some"], ["none"]]
    assert answer["default"] == ["other"]


def test_a_branch_stops_at_the_first_match():
    assert branch(("big", "input.n > 3"), ("broken", "input.zzz"), n=5)["cases"][1]["matched"] is False
    with pytest.raises(ExpressionFailed):
        branch(("big", "input.n > 3"), ("broken", "input.zzz"), n=1)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x" * 4001,
        "1 +",
        "foo",
        "foo(1)",
        "item",
        "index",
        "steps",
        "steps[input.k]",
        "steps.a.rows",
        ".input",
        "'open",
        "input # x",
        "input.l.map(input, input)",
        "input.a.__class__()",
        "(" * 30 + "1" + ")" * 30,
        "1" + "+1" * 300,
        "!" * 300 + "true",
        "true?1:" * 30 + "1",
        "input.l.map(x, input.l.map(y, input.l.map(z, 1)))",
        "input.l" + ".map(x, x)" * 9,
        "input.l" + ".map(x, x + x + x)" * 8,
        "input.l" + ".map(x, [x, x, x])" * 8,
    ],
)
def test_an_expression_is_refused(source: str):
    with pytest.raises(ExpressionInvalid) as caught:
        Expression(source)
    assert str(caught.value).endswith(".")


WORDS = st.sampled_from(
    [
        "input",
        "steps",
        ".a",
        "['a']",
        "[0]",
        ".result",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "+",
        "-",
        "!",
        "&&",
        "==",
        "in",
        "1",
        "1.5",
        "2u",
        "'x'",
        '"',
        "'",
        "\\",
        "r'\\'",
        "b'x'",
        "true",
        "null",
        ".map(x,",
        "x",
        "has(",
        ".",
        " ",
        "//",
        "\n",
        "size(",
        "timestamp(",
        "duration('1s')",
        "optional.of(",
        ".matches(",
        "'['",
        "\u00e9",
        "\U0001f600",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS, max_size=14).map("".join) | st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(source: str):
    state = state_of({"steps": [noop("a")]}, input={"a": [1, {"a": 2}]}, a={"a": 1})
    with contextlib.suppress(ExpressionInvalid, ExpressionFailed):
        msgspec.json.encode(Expression(source).evaluate(Scope(state)))
