"""What a file's text means, and what is said when it means nothing."""

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vai.definition import InvalidDefinition, load_text


@pytest.mark.parametrize(
    "text, value",
    [
        ("on: x", {"on": "x"}),
        ("retry: {on: [timeout], off: no}", {"retry": {"on": ["timeout"], "off": "no"}}),
        ("a: 2024-05-01", {"a": "2024-05-01"}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: [true, false, null, ~, yes, NO]", {"a": [True, False, None, None, "yes", "NO"]}),
        (
            "a: [1, -2, 1.5, 1e3, 007, 0x1F, 1_000, .5, .inf]",
            {"a": [1, -2, 1.5, 1000.0, "007", "0x1F", "1_000", ".5", ".inf"]},
        ),
        ("a: ['1', \"true\", !!str 3]", {"a": ["1", "true", "3"]}),
        ("a:\n", {"a": None}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("- {}\n- []\n", [{}, []]),
        ("# nothing\n", None),
        ('{"a": [1, {"b": "c"}]}', {"a": [1, {"b": "c"}]}),
    ],
)
def test_yaml_words_mean_what_they_mean_in_json(text: str, value: Any):
    assert load_text(text, "flow.yaml") == value


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("f.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml, line 4, column 3: the field 'c' is given twice."),
        ("f.yaml", "a: &x [1]\n", "f.yaml, line 1, column 4: anchors and aliases (& and *) are not read."),
        ("f.yaml", "a: 1\nb: *x\n", "f.yaml, line 2, column 4: anchors and aliases (& and *) are not read."),
        ("f.yaml", "a: !!python/name:os.system\n", "line 1, column 4: tags are not read"),
        ("f.yaml", "a: [1\nb: 2", "f.yaml, line 2, column 2: "),
        ("f.yaml", "a: 1\n---\nb: 2", "f.yaml, line 2, column 1: there is a second document"),
        ("f.yaml", "? [a]\n: 1", "f.yaml, line 1, column 3: a field's name should be text."),
        ("f.yaml", "a: \x01", "f.yaml: the character #x0001 cannot stand in YAML."),
        ("f.yaml", "[" * 1000, "it is nested too deep"),
        ("f.yml", " \n", "f.yml is empty."),
        ("f.json", '{"a": 1,\n "b" 2}', "f.json, line 2, column 6: "),
        ("f.json", '{"a": {"b": 1, "b": 2}}', "f.json: the field 'b' is given twice in one object."),
        ("f.json", "[NaN]", "f.json: NaN is not JSON."),
        ("f.JSON", "[" * 100_000, "f.JSON is nested too deep."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(name: str, text: str, message: str):
    with pytest.raises(InvalidDefinition) as caught:
        load_text(text, name)
    assert message in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(JSON.filter(lambda value: value != ""))
def test_both_formats_bring_back_what_was_written(value: Any):
    assert load_text(json.dumps(value), "f.json") == value
    assert load_text(yaml.safe_dump(value), "f.yaml") == value


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("[]{}:,-?&*!|>'\"%@#a \n\t", max_size=40), st.sampled_from(["f.yaml", "f.json"]))
def test_any_text_is_read_or_refused(text: str, name: str):
    with contextlib.suppress(InvalidDefinition):
        json.dumps(load_text(text, name))
