"""`vai run`: an automation in one process, without a server."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.server import ACTIONS, BROKEN, FLIGHTS, GATED, VAI, environment

pytestmark = pytest.mark.process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with actions and definitions."""
    (tmp_path / "actions.py").write_text(ACTIONS)
    for name, text in (("flights", FLIGHTS), ("broken", BROKEN), ("gated", GATED)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*VAI, "run", *args, "--actions", "actions.py"],
        cwd=folder,
        env=environment(folder / "unused", 80),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *args: str) -> tuple[int, str, str]:
    with start(folder, *args) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("file, code, end", [("flights", 0, "✓ run completed"), ("broken", 1, "✗ run failed")])
def test_the_exit_code_says_how_it_ended(folder: Path, file: str, code: int, end: str) -> None:
    found, out, err = run(folder, f"{file}.yaml")
    assert (found, err) == (code, "")
    assert "✓ Extract flights  completed" in out
    assert end in out.splitlines()[-1]


def test_its_data_is_kept_where_asked_and_nowhere_else(folder: Path) -> None:
    assert run(folder, "flights.yaml")[0] == 0
    assert not (folder / "unused").exists()
    assert run(folder, "flights.yaml", "--data-dir", "kept")[0] == 0
    assert (folder / "kept" / "vai.db").exists()


def test_its_events_come_one_a_line_for_scripts(folder: Path) -> None:
    _, out, _ = run(folder, "flights.yaml", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.completed"


def test_ctrl_c_cancels_the_run(folder: Path) -> None:
    with start(folder, "gated.yaml", "--input", '{"path": "never"}') as process:
        assert process.stdout is not None
        while "gate  started" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "⊘ run cancelled" in out.splitlines()[-1]


def test_a_faulty_definition_is_told_by_places(folder: Path) -> None:
    (folder / "flights.yaml").write_text(FLIGHTS.replace("kind: work", "kind: wrok"))
    code, out, err = run(folder, "flights.yaml")
    assert (code, out) == (1, "")
    assert err.splitlines()[1].startswith("flights.yaml: steps[0].kind: ")


def test_an_input_that_does_not_fit_is_told_by_places(folder: Path) -> None:
    code, _, err = run(folder, "gated.yaml", "--input", "{}")
    assert code == 1
    assert "input: " in err


def test_a_file_that_is_not_there_is_wrong_usage(folder: Path) -> None:
    assert run(folder, "nowhere.yaml") == (2, "", "There is no file nowhere.yaml.\n")
