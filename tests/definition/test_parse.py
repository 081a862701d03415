"""Which configs are accepted, what they mean, and what is said of the others."""

import time
from typing import Any

import jsonschema
import pytest

from tests.definition.kinds import KINDS, noop
from tests.signing import SECRET
from vai.definition import InvalidDefinition, definition_schema, parse
from vai.domain.graph import RetryPolicy
from vai.domain.status import OnInterrupt, RunWhen


def faults_of(config: Any) -> dict[tuple[str | int, ...], str]:
    """The faults of a config: their sentences by place."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(config, KINDS)
    return {fault.loc: fault.msg for fault in caught.value.faults}


def steps(*given_steps: Any, **head: Any) -> dict[str, Any]:
    return {**head, "steps": list(given_steps)}


def depends_on(config: Any) -> dict[str, tuple[str, ...]]:
    return {key: spec.depends_on for key, spec in parse(config, KINDS).graph.steps.items()}


def test_a_config_without_steps_is_accepted():
    definition = parse({}, KINDS)
    assert dict(definition.graph.steps) == {}
    given = {"inputs": None, "concurrency": None, "failFast": False, "timeoutSeconds": None}
    assert definition.normalised == {**given, "steps": []}


def test_every_field_reaches_the_graph():
    retry = {"maxAttempts": 3, "initialSeconds": 1.5, "factor": 3, "maxSeconds": 9, "jitter": False, "on": ["timeout"]}
    config = steps(
        noop("a"),
        noop(
            "b",
            name="B",
            dependsOn=["a"],
            runWhen="any_failed",
            retry=retry,
            timeoutSeconds=5,
            graceSeconds=0,
            onInterrupt="fail",
        ),
        failFast=True,
        timeoutSeconds=60,
    )
    graph = parse(config, KINDS).graph
    b = graph.steps["b"]
    assert (graph.fail_fast, graph.timeout_seconds) == (True, 60)
    assert graph.dependents == {"a": ("b",), "b": ()}
    assert (b.name, b.run_when, b.on_interrupt) == ("B", RunWhen.ANY_FAILED, OnInterrupt.FAIL)
    assert (b.timeout_seconds, b.grace_seconds) == (5, 0)
    assert b.retry == RetryPolicy(3, 1.5, 3, 9, False, ("timeout",))


def test_the_normalised_config_is_complete_and_means_the_same():
    config = steps(noop("a", definition={"x": 1}), noop("b", definition="{{ steps.a.result }}", retry={"on": ["t"]}))
    definition = parse(config, KINDS)
    assert definition.config == config
    assert definition.normalised["steps"][1] == {
        "key": "b",
        "name": None,
        "kind": "noop",
        "definition": "{{ steps.a.result }}",
        "dependsOn": ["a"],
        "if": None,
        "forEach": None,
        "maxParallel": None,
        "runWhen": "all_succeeded",
        "retry": {
            "maxAttempts": 1,
            "initialSeconds": 1.0,
            "factor": 2.0,
            "maxSeconds": 60.0,
            "jitter": True,
            "on": ["t"],
        },
        "timeoutSeconds": None,
        "graceSeconds": 10.0,
        "onInterrupt": "retry",
        "runsOn": None,
    }
    assert parse(definition.normalised, KINDS).normalised == definition.normalised


def test_null_counts_as_not_given():
    fields = ("name", "definition", "dependsOn", "if", "runWhen", "retry", "timeoutSeconds", "onInterrupt")
    fields += ("runsOn", "forEach")
    normalised = parse(steps(noop("a", **dict.fromkeys(fields))), KINDS).normalised
    assert normalised == parse(steps(noop("a")), KINDS).normalised


def test_the_form_with_one_action_means_one_step():
    words = {"schedule": "0 6 * * *", "timezone": "UTC", "path": "shopify/orders", "secret": SECRET}
    config = {"action": {"kind": "noop", "definition": {"body": "{{payload}}"}}, **words}
    definition = parse(config, KINDS)
    assert list(definition.graph.steps) == ["action"]
    assert SECRET not in str(definition.normalised)
    trigger, webhook = definition.triggers
    assert (trigger.key, trigger.type) == ("schedule", "schedule")
    assert (webhook.key, webhook.address) == ("webhook", "shopify/orders")
    assert trigger.settings == {"schedule": "0 6 * * *", "timezone": "UTC", "catchUp": "none", "input": None}


@pytest.mark.parametrize(
    "action, place",
    [
        (3, ("action",)),
        ({}, ("action", "kind")),
        ({"kind": "noop", "definition": {"x": "{{ }}"}}, ("action", "definition", "x")),
        ({"kind": "http_request", "definition": {}}, ("action", "definition", "url")),
        ({"kind": "noop", "dependsOn": []}, ("action", "dependsOn")),
    ],
)
def test_a_fault_of_the_one_action_has_its_place(action: Any, place: tuple[str, ...]):
    assert list(faults_of({"action": action})) == [place]


def test_either_action_or_steps():
    assert ("action",) in faults_of({"action": {"kind": "noop"}, "steps": [noop("a")]})


def test_dependencies_are_inferred_in_order_and_once():
    config = steps(
        noop("a"),
        noop("b"),
        noop("c"),
        noop(
            "d",
            **{
                "dependsOn": ["b", "b"],
                "definition": {"x": ["{{ steps.c.result }}, {{ steps['b'].status }}"]},
                "if": "steps.a.result.rows > 0 && steps.c.status == 'completed'",
            },
        ),
    )
    assert depends_on(config)["d"] == ("b", "c", "a")


def test_a_branch_runs_before_the_steps_that_it_names():
    branch = {"cases": [{"when": "steps.a.result > 1", "steps": ["b"]}], "default": ["c"]}
    config = steps(noop("a"), {"key": "way", "kind": "conditional_branch", "definition": branch}, noop("b"), noop("c"))
    assert depends_on(config) == {"a": (), "way": ("a",), "b": ("way",), "c": ("way",)}


@pytest.mark.parametrize(
    "branch, place",
    [
        ({"cases": [{"when": "true", "steps": ["nope"]}]}, ("cases", 0, "steps", 0)),
        ({"cases": [], "default": ["way"]}, ("default", 0)),
        ({"cases": [{"when": "1 +", "steps": []}]}, ("cases", 0, "when")),
    ],
)
def test_a_branch_is_checked(branch: Any, place: tuple[str | int, ...]):
    config = steps({"key": "way", "kind": "conditional_branch", "definition": branch})
    assert list(faults_of(config)) == [("steps", 0, "definition", *place)]


SENTENCES = [
    ({"failfast": True}, ("failfast",), "There is no field 'failfast'. Did you mean 'failFast'?"),
    (
        {"concurrency": {"key": "{{ steps.a.result }}"}, "steps": [noop("a")]},
        ("concurrency", "key"),
        "The expression cannot be used. 'steps' is not in scope; what is: input, payload, trigger.",
    ),
    (
        {"concurrency": {"key": "x", "onConflict": "wait"}},
        ("concurrency", "onConflict"),
        "It should be 'queue', 'cancel_running' or 'skip'.",
    ),
    ({"concurrency": {"key": "x", "limit": 0}}, ("concurrency", "limit"), "It should be greater than or equal to 1."),
    ({"steps": {}}, ("steps",), "It should be a list."),
    ({"timeoutSeconds": 0}, ("timeoutSeconds",), "It should be greater than 0."),
    (steps(3), ("steps", 0), "A step should be an object, not a number."),
    (steps({"kind": "noop"}), ("steps", 0, "key"), "This field is required."),
    (
        steps(noop("A b")),
        ("steps", 0, "key"),
        "A key is made of small letters, digits and underscores, and begins with a letter.",
    ),
    (
        steps(noop("a", runsOn="GPU 1")),
        ("steps", 0, "runsOn"),
        "A label is made of small letters, digits, underscores, dots and dashes.",
    ),
    (steps(noop("a"), noop("a")), ("steps", 1, "key"), "There is another step with the key 'a'."),
    (
        steps(noop("a", dependson=[])),
        ("steps", 0, "dependson"),
        "There is no field 'dependson'. Did you mean 'dependsOn'?",
    ),
    (
        steps(noop("a", forEach="nope.x")),
        ("steps", 0, "forEach"),
        "The expression cannot be used. 'nope' is not in scope; what is: input, payload, run, steps, trigger.",
    ),
    (steps(noop("a", maxParallel=2)), ("steps", 0, "maxParallel"), "It belongs to forEach, and there is none."),
    (
        steps(noop("a", definition={"x": "{{ item }}"})),
        ("steps", 0, "definition", "x"),
        "The expression cannot be used. 'item' is in scope in the definition of a step with forEach only.",
    ),
    (
        steps(noop("a", forEach="input.items", **{"if": "item > 1"})),
        ("steps", 0, "if"),
        "The expression cannot be used. 'item' is in scope in the definition of a step with forEach only.",
    ),
    (
        steps(noop("a", retry={"maxAttempt": 3})),
        ("steps", 0, "retry", "maxAttempt"),
        "There is no field 'maxAttempt'. Did you mean 'maxAttempts'?",
    ),
    (steps(noop("a", **{"if": True})), ("steps", 0, "if"), "It should be text."),
    (
        steps(noop("a", **{"if": "{{ input.a }}"})),
        ("steps", 0, "if"),
        "The expression cannot be used. At column 12: mismatched input '}'. Write it without {{ }}.",
    ),
    (
        steps({"key": "a", "kind": "http_reqest"}),
        ("steps", 0, "kind"),
        "There is no kind 'http_reqest'. Did you mean 'http_request'?",
    ),
    (
        steps(noop("extract"), noop("b", dependsOn=["extrakt"])),
        ("steps", 1, "dependsOn", 0),
        "There is no step 'extrakt'. Did you mean 'extract'?",
    ),
    (
        steps(noop("extract"), noop("b", definition="{{ steps.extrakt.result }}")),
        ("steps", 1, "definition"),
        "There is no step 'extrakt'. Did you mean 'extract'?",
    ),
    (
        steps(noop("a", definition=["{{ steps.a.result }}"])),
        ("steps", 0, "definition", 0),
        "The step 'a' names itself.",
    ),
    (steps(noop("a", dependsOn=["a"])), ("steps", 0, "dependsOn", 0), "The step 'a' depends on itself."),
    (
        steps(noop("a", dependsOn=["b"]), noop("b", definition="{{ steps.a.result }}")),
        ("steps", 0, "dependsOn", 0),
        "The steps wait for one another: a -> b -> a.",
    ),
    (
        steps(noop("a", definition={"{{ input.x }}": 1})),
        ("steps", 0, "definition", "{{ input.x }}"),
        "An expression cannot stand in a field's name.",
    ),
    (
        steps(noop("a", definition="x {{ input")),
        ("steps", 0, "definition"),
        "A {{ is not closed. To mean the characters, write {{ '{{' }}.",
    ),
    (
        steps(noop("a", definition="\0")),
        ("steps", 0, "definition"),
        "The text holds a NUL character, which cannot be stored.",
    ),
    (
        steps(noop("a", definition=float("nan"))),
        ("steps", 0, "definition"),
        "The number is not finite, which JSON cannot hold.",
    ),
    (steps(noop("a", definition=2**64)), ("steps", 0, "definition"), "The number does not fit in 64 bits."),
    (
        steps(noop("a", definition="\ud800")),
        ("steps", 0, "definition"),
        "The text holds half of a surrogate pair, which is not a character.",
    ),
    (steps(noop("a", definition={1: 2})), ("steps", 0, "definition"), "A field's name should be text, not a number."),
    ([], (), "A definition should be an object, not a list."),
]


@pytest.mark.parametrize("config, place, sentence", SENTENCES)
def test_a_fault_is_a_sentence_at_its_place(config: Any, place: tuple[str | int, ...], sentence: str):
    assert faults_of(config) == {place: sentence}


@pytest.mark.parametrize(
    "retry, field",
    [
        ({"maxAttempts": 0}, "maxAttempts"),
        ({"maxAttempts": 101}, "maxAttempts"),
        ({"maxAttempts": "3"}, "maxAttempts"),
        ({"initialSeconds": -1}, "initialSeconds"),
        ({"factor": 0.9}, "factor"),
        ({"maxSeconds": -0.1}, "maxSeconds"),
        ({"maxSeconds": 1e300}, "maxSeconds"),
        ({"jitter": 1}, "jitter"),
        ({"on": "timeout"}, "on"),
    ],
)
def test_retry_has_bounds(retry: dict[str, Any], field: str):
    assert list(faults_of(steps(noop("a", retry=retry)))) == [("steps", 0, "retry", field)]


def test_every_fault_is_told_at_once_and_sorted_by_place():
    config = steps(
        noop("a", dependsOn=["nope"]),
        noop("B"),
        {"key": "c", "kind": "http_request", "definition": {"ulr": "x"}},
        noop("d", timeoutSeconds=-1, definition="{{ foo }}"),
        nope=1,
    )
    places = list(faults_of(config))
    assert places == [
        ("nope",),
        ("steps", 0, "dependsOn", 0),
        ("steps", 1, "key"),
        ("steps", 2, "definition", "ulr"),
        ("steps", 2, "definition", "url"),
        ("steps", 3, "timeoutSeconds"),
    ]


def test_each_circle_is_named():
    circles = [noop(f"{name}{i}", dependsOn=[f"{name}{(i + 1) % 3}"]) for name in "ab" for i in range(3)]
    sentences = faults_of(steps(*circles, noop("after", dependsOn=["a0"]))).values()
    assert [text.split(": ")[1] for text in sentences] == ["a0 -> a1 -> a2 -> a0.", "b0 -> b1 -> b2 -> b0."]


def test_a_kind_that_is_not_installed_is_noted_only():
    definition = parse(steps({"key": "a", "kind": "heavy"}), KINDS)
    assert [(note.loc, note.type) for note in definition.notes] == [(("steps", 0, "kind"), "not_installed")]


def test_without_a_registry_kinds_are_not_checked():
    assert list(parse(steps({"key": "a", "kind": "gone"}), None).graph.steps) == ["a"]


def test_more_than_ten_thousand_steps_are_refused():
    assert ("steps",) in faults_of(steps(*(noop(f"s{i}") for i in range(10_001))))


def test_hostile_configs_are_answered_soon():
    started = time.process_time()
    many = [noop(f"s{i}", dependsOn=[f"x{i}", f"s{(i + 1) % 5000}"], unknown=1) for i in range(5_000)]
    sentences = faults_of(steps(*many)).values()
    assert len(sentences) == 500
    assert sum("Did you mean" in sentence or "Known are" in sentence for sentence in sentences) <= 50
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert "nested deeper" in " ".join(faults_of({"steps": deep}).values())
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "config, fits",
    [
        (steps(noop("a", retry={"maxAttempts": 3}, **{"if": "true"})), True),
        ({"action": {"kind": "noop"}, "schedule": "* * * * *"}, True),
        ({"triggers": [{"type": "schedule", "schedule": "* * * * *", "catchUp": "all"}]}, True),
        ({"triggers": [{"type": "schedule"}]}, False),
        (steps({"key": "a"}), False),
        (steps(noop("a", dependson=[])), False),
    ],
)
def test_the_schema_says_what_parse_does(config: Any, fits: bool):
    schema = definition_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(config) is fits
