"""`forEach` in a definition: what gives the elements, and what an element's own definition sees."""

from typing import Any

import pytest

from tests.definition.kinds import KINDS
from vai.definition import for_each, parse, resolve
from vai.definition.model import MAX_ELEMENTS
from vai.domain.commands import Start
from vai.domain.decide import transition
from vai.domain.graph import ExpressionFailed
from vai.domain.state import RunContext, RunState, initial_state


def begun(given: Any, run_input: Any, definition: Any = None) -> RunState:
    """A run of one step over elements, begun."""
    step = {"key": "fan", "kind": "noop", "forEach": given, "definition": definition or {}, "maxParallel": 3}
    graph = parse({"steps": [step]}, KINDS).graph
    return transition(initial_state("run", graph, RunContext("t", "a", 0, run_input)), Start(), 1).state


@pytest.mark.parametrize(
    "given",
    ["{{ input.items }}", "input.items", " {{input.items}} ", ["{{ input.items[0] }}", 7], "[input.items[0], 7]"],
)
def test_the_elements_are_a_list_or_what_an_expression_gives(given: Any) -> None:
    fan = begun(given, {"items": [{"id": 1}, 7]}).steps["fan"].fan
    assert fan is not None
    assert list(fan.elements) == [{"id": 1}, 7]


def test_an_element_sees_itself_its_place_and_all_else() -> None:
    definition = {"it": "{{ item.id }}", "text": "{{ index }}: {{ item }}", "n": "{{ input.n + index }}"}
    state = begun("input.items", {"items": [{"id": "x"}, {"id": "y"}], "n": 40}, definition)
    assert resolve(state.graph.steps["fan[1]"], state) == {"it": "y", "text": '1: {"id":"y"}', "n": 41}


def test_what_an_element_lacks_is_told_with_what_is_in_scope() -> None:
    state = begun("input.items", {"items": [{"id": "x"}]}, {"x": "{{ item.name }}"})
    with pytest.raises(ExpressionFailed) as caught:
        resolve(state.graph.steps["fan[0]"], state)
    assert caught.value.details["reason"] == "item has no 'name'; it has id."
    assert caught.value.details["names"] == ["index", "input", "item", "payload", "run", "steps.fan", "trigger"]


@pytest.mark.parametrize(
    "run_input, reason",
    [
        ({"items": {"a": 1}}, "forEach needs a list, and this is an object."),
        ({"items": None}, "forEach needs a list, and this is null."),
        ({}, "input has no 'items'; it has nothing."),
        ({"items": [0] * (MAX_ELEMENTS + 1)}, "The list has 10,001 elements; forEach takes up to 10,000."),
        ({"items": ["x" * for_each.MAX_BYTES]}, "The elements are larger than 8 MiB; hand on names of them."),
    ],
)
def test_a_list_that_does_not_do_fails_the_step(run_input: Any, reason: str) -> None:
    error = begun("{{ input.items }}", run_input).steps["fan"].error
    assert error is not None
    assert (error.type, error.details["reason"]) == ("expression_failed", reason)


def test_it_is_upstream_of_what_names_it_and_downstream_of_what_it_names() -> None:
    steps = [
        {"key": "c", "kind": "noop", "definition": {"x": "{{ steps.b.result.items }}"}},
        {"key": "b", "kind": "noop", "forEach": "steps.a.result.items"},
        {"key": "a", "kind": "noop"},
    ]
    graph = parse({"steps": steps}, KINDS).graph
    assert (graph.steps["c"].depends_on, graph.steps["b"].depends_on) == (("b",), ("a",))
