"""Webhooks in a config: what they mean, and what is wrong with them, by place."""

from typing import Any

import pytest

from tests.definition.kinds import KINDS
from tests.signing import SECRET
from vai.definition import HIDDEN, SEALED, InvalidDefinition, parse, rule_of, trigger_secrets, with_secrets

HOOK = {"type": "webhook", "path": "orders/paid", "secret": SECRET}
INPUTS = {"type": "object", "properties": {"limit": {"type": "integer"}}, "required": ["limit"]}


def faults(config: dict[str, Any]) -> list[tuple[Any, ...]]:
    with pytest.raises(InvalidDefinition) as caught:
        parse({"steps": [], **config}, KINDS)
    return [fault.loc for fault in caught.value.faults]


def test_a_webhook_with_everything_filled_in() -> None:
    (trigger,) = parse({"triggers": [HOOK | {"path": "/orders/paid"}], "steps": []}, KINDS).triggers
    assert (trigger.key, trigger.type, trigger.address) == ("webhook", "webhook", "orders/paid")
    assert trigger.settings == {
        **{"path": "orders/paid", "signature": "standard", "secret": SECRET},
        **{"match": None, "input": None},
    }


@pytest.mark.parametrize(
    "changes, place",
    [
        *(({"path": path}, ("path",)) for path in (None, "", "/", "//a", "a//b", "a/", "../a", "a b", "ä", "a?b", 3)),
        ({"path": "x" * 201}, ("path",)),
        ({"signature": "md5"}, ("signature",)),
        ({"signature": "none"}, ("secret",)),
        *(({"secret": secret}, ("secret",)) for secret in (None, "hush", "whsec_hush", "whsec_QUJD", SECRET[6:], 3)),
        ({"signature": "github", "secret": "short"}, ("secret",)),
        ({"match": "payload.x =="}, ("match",)),
        ({"match": "input.x"}, ("match",)),
        ({"match": "steps.a.result"}, ("match",)),
        ({"input": {"a": ["{{ event.x }}"]}}, ("input", "a", 0)),
        ({"input": "{{ run.id }}"}, ("input",)),
        ({"schedule": "* * * * *"}, ("schedule",)),
    ],
)
def test_what_is_wrong_is_told_by_place(changes: dict[str, Any], place: tuple[Any, ...]) -> None:
    assert faults({"triggers": [HOOK | {"key": "ok", "path": "other"}, HOOK | changes]}) == [("triggers", 1, *place)]


@pytest.mark.parametrize(
    "fields", [{"signature": "none", "secret": None}, {"signature": "github", "secret": "any text"}, {"path": "a.b~c"}]
)
def test_what_may_be_said(fields: dict[str, Any]) -> None:
    assert parse({"triggers": [HOOK | fields], "steps": []}, KINDS).triggers


def test_paths_are_unique() -> None:
    assert faults({"triggers": [HOOK, HOOK | {"key": "b", "path": "/orders/paid"}]}) == [("triggers", 1, "path")]


def test_an_input_without_expressions_is_checked_at_once() -> None:
    config = {"inputs": INPUTS, "steps": []}
    assert faults({**config, "triggers": [HOOK]}) == [("triggers", 0, "input", "limit")]
    assert parse({**config, "triggers": [HOOK | {"input": {"limit": "{{ payload.n }}"}}]}, KINDS).triggers


def test_the_form_with_one_action() -> None:
    action = {"action": {"kind": "noop"}}
    (trigger,) = parse(action | {"path": "/hooks/orders", "secret": SECRET}, KINDS).triggers
    assert (trigger.key, trigger.address, trigger.settings["signature"]) == ("webhook", "hooks/orders", "standard")
    for fields, place in (({"path": "x"}, "secret"), ({"secret": SECRET}, "secret"), ({"path": "//"}, "path")):
        with pytest.raises(InvalidDefinition) as caught:
            parse(action | {"secret": SECRET} | fields if place == "path" else action | fields, KINDS)
        assert [fault.loc for fault in caught.value.faults] == [(place,)]


def test_triggers_keep_no_stored_version_from_running() -> None:
    assert parse({"action": {"kind": "noop"}, "path": "a b", "secret": "whsec_hush"}, None).graph.steps


def test_rules() -> None:
    settings = {"match": "payload.total > 100", "input": {"n": "{{ payload.total }}", "by": "{{ trigger.key }}"}}
    rule = rule_of("webhook", settings)
    values = {"payload": {"total": 101}, "trigger": {"key": "k"}}
    assert rule.is_met(values)
    assert rule.input_of(values) == {"n": 101, "by": "k"}
    for payload in ({"total": 100}, {"total": "x"}, {}, None, []):
        assert not rule.is_met({**values, "payload": payload})


def test_secrets_are_found_and_replaced_by_place() -> None:
    config = {"secret": "a", "triggers": [3, {"type": "webhook", "key": "b", "secret": "b"}, {"type": "schedule"}]}
    found = trigger_secrets(config)
    assert found == {("secret",): ("webhook", "a"), ("triggers", 1, "secret"): ("b", "b")}
    changed = with_secrets(config, dict.fromkeys(found, HIDDEN))
    hidden = {"type": "webhook", "key": "b", "secret": HIDDEN}
    assert changed == {"secret": HIDDEN, "triggers": [3, hidden, {"type": "schedule"}]}
    assert trigger_secrets(config) == found
    for odd in (None, 3, [], {"triggers": 3}, {"triggers": {"secret": 1}}):
        assert trigger_secrets(odd) == {}
        assert with_secrets(odd, {}) is odd
    for stands in (HIDDEN, f"{SEALED}xyz"):
        assert parse({"triggers": [HOOK | {"secret": stands}], "steps": []}, KINDS).triggers
