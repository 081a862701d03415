"""The triggers of a config: what they mean, and what is wrong with them, by place."""

from typing import Any

import pytest

from tests.definition.kinds import KINDS
from vai.definition import InvalidDefinition, parse

NIGHTLY = {"type": "schedule", "schedule": "0 6 * * *", "timezone": "Europe/Berlin"}
INPUTS = {"type": "object", "properties": {"limit": {"type": "integer"}}, "required": ["limit"]}


def faults(config: dict[str, Any]) -> list[tuple[Any, ...]]:
    with pytest.raises(InvalidDefinition) as caught:
        parse({"steps": [], **config}, KINDS)
    return [fault.loc for fault in caught.value.faults]


def test_a_schedule_with_everything_filled_in() -> None:
    given = [NIGHTLY, {**NIGHTLY, "key": "monday", "catchUp": "latest", "input": {"limit": 3}}]
    first, second = parse({"triggers": given, "steps": []}, KINDS).triggers
    assert (first.key, first.type) == ("schedule", "schedule")
    assert first.settings == {
        **{"schedule": "0 6 * * *", "timezone": "Europe/Berlin"},
        **{"catchUp": "none", "input": None},
    }
    assert (second.key, second.settings["catchUp"], second.settings["input"]) == ("monday", "latest", {"limit": 3})


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"schedule": "61 * * * *"}, ("schedule",)),
        ({"schedule": "0 0 30 2 *"}, ("schedule",)),
        ({"schedule": 5}, ("schedule",)),
        ({"schedule": None}, ("schedule",)),
        ({"timezone": "Mars/Olympus"}, ("timezone",)),
        ({"type": "moon"}, ("type",)),
        ({"type": None}, ("type",)),
        ({"type": ["schedule"]}, ("type",)),
        ({"key": "Bad Key"}, ("key",)),
        ({"catchUp": "some"}, ("catchUp",)),
        ({"zone": "UTC"}, ("zone",)),
    ],
)
def test_what_is_wrong_is_told_by_place(changes: dict[str, Any], place: tuple[Any, ...]) -> None:
    assert faults({"triggers": [NIGHTLY | {"key": "ok"}, NIGHTLY | changes]}) == [("triggers", 1, *place)]


def test_a_trigger_that_is_no_object() -> None:
    assert faults({"triggers": ["0 6 * * *"]}) == [("triggers", 0)]


def test_keys_are_unique() -> None:
    assert faults({"triggers": [NIGHTLY, NIGHTLY]}) == [("triggers", 1, "key")]


def test_an_input_that_no_run_would_take() -> None:
    assert faults({"inputs": INPUTS, "triggers": [NIGHTLY]}) == [("triggers", 0, "input", "limit")]
    wrong = NIGHTLY | {"input": {"limit": "x"}}
    assert faults({"inputs": INPUTS, "triggers": [wrong]}) == [("triggers", 0, "input", "limit")]
    assert parse({"inputs": INPUTS, "triggers": [NIGHTLY | {"input": {"limit": 1}}], "steps": []}, KINDS).triggers


def test_the_form_with_one_action() -> None:
    action = {"action": {"kind": "noop"}}
    with pytest.raises(InvalidDefinition) as caught:
        parse(action | {"schedule": "nonsense", "timezone": "UTC"}, KINDS)
    assert [fault.loc for fault in caught.value.faults] == [("schedule",)]
    with pytest.raises(InvalidDefinition) as caught:
        parse(action | {"timezone": "UTC"}, KINDS)
    assert [fault.loc for fault in caught.value.faults] == [("timezone",)]
