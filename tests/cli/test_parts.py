"""The small parts: definitions in files, rows, durations, streams, faults."""

from pathlib import Path
from typing import Any

import pytest

from vai.cli.exits import Failure
from vai.cli.faults import faults_of, sentence_of
from vai.cli.files import read_definition
from vai.cli.follow import parse_stream
from vai.cli.output import age, clean, duration, local_time, parse_time, short_id
from vai.cli.reading import read_json
from vai.cli.rows import note_of, rows_of


@pytest.mark.parametrize(
    "text, value",
    [
        ("[timeout]", ["timeout"]), ("2013-01-01", "2013-01-01"), ("12:30:00", "12:30:00"), ("007", "007"),
        ("-12", -12), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("yes", "yes"), ("off", "off"),
        ("null", None), ("~", None), ("", None), ("'5'", "5"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        ("{{ input.a }}", None),
    ],
)  # fmt: skip
def test_words_in_yaml_mean_what_they_mean_in_json(tmp_path: Path, text: str, value: Any) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(f"on: {text}\n")
    if text.startswith("{{"):  # an expression without quotes is a mapping in YAML
        with pytest.raises(Failure, match="a key must be a string"):
            read_definition(path)
    else:
        assert read_definition(path).config == {"on": value}


def test_what_is_of_the_automation_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text('{"name": "n", "description": "d", "orchestratorType": "local", "config": {"steps": []}}')
    found = read_definition(path)
    assert found[1:] == ("n", "d", "local", {"steps": []})


@pytest.mark.parametrize(
    "value, rows",
    [
        ({"rows": 5}, 5), ({"rowCount": 7, "rows": [1]}, 7), ({"rows": {"a": 2, "b": 3}}, 5), ({"rows": [1, 2]}, 2),
        ({"tables": {"a": {"rows": 2}, "b": {"rows": 4}}}, 6), ({"rows": "many"}, None), ({"rows": True}, None),
        ({}, None), (None, None), ([1], None),
    ],
)  # fmt: skip
def test_rows_are_read_from_what_actions_answer(value: Any, rows: int | None) -> None:
    assert rows_of(value) == rows


def test_a_progress_is_told_in_a_few_words() -> None:
    assert note_of({"phase": "loading", "done": 3, "total": 10, "rows": 9}) == "loading 3/10"
    assert note_of({"done": 3}) == "3 done"
    assert note_of({"resource": "flights", "rows": 3}) == "resource=flights"


@pytest.mark.parametrize(
    "seconds, told",
    [
        (None, ""), (0.004, "0.00 s"), (0.5, "0.50 s"), (12.34, "12.3 s"), (65, "1 min 5 s"), (3725, "1 h 2 min"),
        (187200, "2 d 4 h"), (-3, "0.00 s"),
    ],
)  # fmt: skip
def test_durations_are_for_people(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


def test_times_are_local_with_their_age() -> None:
    at = "2026-11-24T10:00:00.000Z"
    now = (parse_time(at) or 0) + 3 * 86400
    assert age(at, now) == "3 d"
    assert local_time(at, now).startswith("2026-11-2")
    assert len(local_time(at, now - 3 * 86400)) == len("10:00:00")
    assert (age(None), local_time(None)) == ("", "")


def test_text_from_elsewhere_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\nc\x07") == "a�[2Jb c�"


def test_short_ids_are_the_ends() -> None:
    assert short_id("01a20d1b-b2a9-7136-874f-1bfd0fd20c4c") == "0fd20c4c"


def test_a_stream_is_parsed_without_its_comments_and_its_torn_end() -> None:
    chunks = [b": still here\n\nid: 1\nevent: run.cre", b"ated\ndata: {\r\ndata: }\n", b"\nevent: x\ndata: torn"]
    assert list(parse_stream(chunks)) == [("run.created", "{\n}")]


def test_only_line_feeds_end_the_lines_of_a_stream() -> None:
    text = "a\u2028b\x85c"
    assert list(parse_stream([f"event: x\ndata: {text}\n\n".encode()])) == [("x", text)]


def test_faults_have_the_places_that_people_know() -> None:
    body = {"detail": [{"loc": ["body", "config", "steps", 2, "dependsOn"], "msg": "no", "type": "t"}]}
    assert faults_of(body)[0].line("a.yaml") == "a.yaml: steps[2].dependsOn: no"
    assert sentence_of(body, 422) == "The request was refused: steps[2].dependsOn: no"
    assert sentence_of({"title": "Conflict", "detail": "Run it again."}, 409) == "Run it again."


@pytest.mark.parametrize("given", ["{", "@nowhere", "@"])
def test_input_that_cannot_be_read_is_refused(given: str) -> None:
    with pytest.raises(Failure) as refusal:
        read_json(given)
    assert refusal.value.exit_code == 2
