"""Whatever JSON comes: it is parsed or refused, and what was parsed means the same when it is written out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.definition.kinds import KINDS
from vai.definition import InvalidDefinition, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
TEXTS = st.sampled_from(
    [
        "a",
        "b",
        "{{ steps.a.result }}",
        "{{",
        "{{ input.x }} }}",
        "steps.b.status == 'x'",
        "noop",
        "http_request",
        "conditional_branch",
        "all_done",
        "#",
        "{{payload}}",
        "object",
        "wait",
        "approval_gate",
        "call_agent",
        "event.payload.x == input.x",
        "0 6 * * *",
        "Europe/Berlin",
        "schedule",
        "event",
        "webhook",
        "latest",
        "order.paid",
    ]
)
NAMES = st.sampled_from(
    [
        "key",
        "kind",
        "name",
        "definition",
        "dependsOn",
        "if",
        "runWhen",
        "retry",
        "on",
        "factor",
        "cases",
        "when",
        "steps",
        "default",
        "url",
        "timeoutSeconds",
        "forEach",
        "onInterrupt",
        "type",
        "properties",
        "$ref",
        "pattern",
        "match",
        "event",
        "eventType",
        "fields",
        "schedule",
        "timezone",
        "catchUp",
        "path",
        "secret",
        "input",
        "tools",
        "output",
    ]
)
NEAR = st.recursive(
    TEXTS | JSON, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)
LIKE_STEP = st.fixed_dictionaries(
    {"key": st.sampled_from("abc"), "kind": TEXTS}, optional={"definition": NEAR, "if": NEAR, "dependsOn": NEAR}
)
LIKE_CONFIG = st.fixed_dictionaries(
    {},
    optional={
        **{"steps": NEAR | st.lists(LIKE_STEP | NEAR, max_size=4), "inputs": NEAR, "action": NEAR, "x": NEAR},
        **{"triggers": NEAR | st.lists(NEAR, max_size=3), "schedule": NEAR, "timezone": NEAR},
        "concurrency": NEAR | st.fixed_dictionaries({"key": TEXTS}),
    },
)


@settings(max_examples=300, deadline=None)
@given(JSON | NEAR | LIKE_CONFIG)
def test_any_json_is_parsed_or_refused(config: Any):
    try:
        definition = parse(config, KINDS)
    except InvalidDefinition:
        return
    assert parse(definition.normalised, KINDS).normalised == definition.normalised
