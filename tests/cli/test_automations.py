"""`vai automations` against a real server."""

import json
from itertools import pairwise

import pytest

from tests.cli.server import FLIGHTS, GATED, Vai

pytestmark = pytest.mark.process

FAULTY = """
steps:
  - {key: a, kind: wrok}
  - {key: b, kind: work, dependsOn: [zz]}
"""


def test_a_file_becomes_a_published_automation_of_its_own_name(vai: Vai, name: str) -> None:
    path = vai.folder / f"{name}.yaml"
    path.write_text(FLIGHTS)
    done = vai("automations", "apply", path.name)
    assert (done.returncode, done.stdout) == (0, f"✓ {name}: created, version 1 is active\n")
    shown = vai.json("automations", "show", name)
    assert shown["status"] == "active"
    assert shown["description"] == "Extract, check and report the flights"
    assert "description" not in shown["config"]


def test_the_name_comes_from_the_option_then_the_file_then_the_files_name(vai: Vai, name: str) -> None:
    path = vai.folder / "file.yaml"
    path.write_text(f"name: {name}-inside\n{FLIGHTS}")
    assert f"{name}-inside: created" in vai("automations", "apply", path.name).stdout
    assert f"{name}-option: created" in vai("automations", "apply", path.name, "--name", f"{name}-option").stdout


def test_what_is_unchanged_makes_no_version_and_what_is_changed_makes_one(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    path = f"{name}.yaml"
    assert "unchanged, version 1 is active" in vai("automations", "apply", path).stdout
    vai.apply(name, FLIGHTS.replace("336776", "5"))
    assert "unchanged, version 2 is active" in vai("automations", "apply", path).stdout
    assert vai.json("automations", "show", name)["versionsSummary"]["count"] == 2


def test_a_draft_is_published_by_hand(vai: Vai, name: str) -> None:
    path = vai.folder / f"{name}.yaml"
    path.write_text(FLIGHTS)
    assert "version 1 is a draft" in vai("automations", "apply", path.name, "--no-publish").stdout
    assert "unchanged, version 1 is draft" in vai("automations", "apply", path.name, "--no-publish").stdout
    assert vai("runs", "start", name).returncode == 1
    assert "version 1 is active" in vai("automations", "publish", name).stdout
    none = vai("automations", "publish", name)
    assert none.returncode == 1
    assert "no draft" in none.stderr


def test_a_description_is_changed_without_a_new_version(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    vai.apply(name, FLIGHTS.replace("Extract, check", "Take, check"))
    shown = vai.json("automations", "show", name)
    assert shown["description"].startswith("Take")
    assert shown["versionsSummary"]["count"] == 1


def test_nothing_is_applied_when_one_file_is_faulty(vai: Vai, name: str) -> None:
    good, bad = vai.folder / f"{name}.yaml", vai.folder / "bad.yaml"
    good.write_text(FLIGHTS)
    bad.write_text(FAULTY)
    done = vai("automations", "apply", good.name, bad.name)
    assert done.returncode == 1
    assert "bad.yaml: steps[0].kind: " in done.stderr
    assert vai("automations", "show", name).returncode == 1


def test_validate_tells_every_fault_on_a_line_of_its_own(vai: Vai) -> None:
    (vai.folder / "bad.yaml").write_text(FAULTY)
    done = vai("automations", "validate", "bad.yaml")
    assert done.returncode == 1
    places = [line.split(": ")[:2] for line in done.stdout.splitlines()]
    assert places == [["bad.yaml", "steps[0].kind"], ["bad.yaml", "steps[1].dependsOn[0]"]]
    assert vai.json("automations", "validate", "bad.yaml")["valid"] is False


def test_a_valid_file_is_said_to_be_valid(vai: Vai) -> None:
    (vai.folder / "good.yaml").write_text(GATED)
    done = vai("automations", "validate", "good.yaml")
    assert (done.returncode, done.stdout) == (0, "✓ good.yaml is valid: 1 steps\n")


@pytest.mark.parametrize(
    "text, said",
    [
        ("steps: [a, {b\n", "good.yaml:2:1: this is not YAML"),
        ("just words", "expected the definition of an automation"),
        ("steps: []\nsteps: []\n", "'steps' is there twice"),
        (
            "a: &a [1]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")),
            "too large",
        ),
        (
            "a: &a {k: 1}\n"
            + "".join(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in pairwise("abcdefghij")),
            "too large",
        ),
        ("a: &a [*a]\n", "recursive"),
        ("[" * 5_000, "nested too deeply"),
    ],
    ids=["torn", "words", "twice", "laughs", "merged laughs", "itself", "deep"],
)
def test_a_file_that_is_no_definition_is_wrong_usage(vai: Vai, text: str, said: str) -> None:
    (vai.folder / "good.yaml").write_text(text)
    done = vai("automations", "validate", "good.yaml")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_that_is_not_there_is_wrong_usage(vai: Vai) -> None:
    done = vai("automations", "apply", "nowhere.yaml")
    assert (done.returncode, done.stderr) == (2, "There is no file nowhere.yaml.\n")


def test_delete_asks_first(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    asked = vai("automations", "delete", name)
    assert asked.returncode == 2
    assert "say --yes" in asked.stderr
    assert "is deleted" in vai("automations", "delete", name, "--yes").stdout
    assert vai("automations", "show", name).returncode == 1


def test_a_name_that_is_nearly_right_is_suggested(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    done = vai("automations", "show", name.replace("fl", "lf"))
    assert done.returncode == 1
    assert f"Did you mean {name}" in done.stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_pages_fit_the_terminal(vai: Vai, name: str, columns: int) -> None:
    vai.apply(name, FLIGHTS)
    for page in (["list"], ["show", name]):
        done = vai("automations", *page, columns=columns)
        assert done.returncode == 0, done.stderr
        assert name[: columns // 4] in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= columns


def test_nothing_is_cut_in_a_pipe(vai: Vai, name: str) -> None:
    long = f"{name}-{'x' * 100}"
    vai.apply(long, FLIGHTS)
    assert long in vai("automations", "list", columns=None).stdout


def test_the_kinds_are_listed_and_shown(vai: Vai) -> None:
    assert "http_request" in vai("kinds", "list").stdout
    shown = vai("kinds", "show", "work", columns=40)
    assert "rows" in shown.stdout
    assert "integer" in shown.stdout
    assert vai.json("kinds", "show", "work")["kind"] == "work"
    unknown = vai("kinds", "show", "wrok")
    assert unknown.returncode == 1
    assert "Did you mean work?" in unknown.stderr


def test_apply_answers_a_line_a_file_for_scripts(vai: Vai, name: str) -> None:
    paths = [vai.folder / f"{name}-{letter}.yaml" for letter in "ab"]
    for path in paths:
        path.write_text(FLIGHTS)
    done = vai("automations", "apply", *map(str, paths), "--json")
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == [path.stem for path in paths]
