"""`vai runs` against a real server."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.server import BROKEN, ERROR, FLIGHTS, GATED, LARGE, VAI, Server, Vai, api_of, environment
from vai.cli.exits import Failure
from vai.cli.references import find_run

pytestmark = pytest.mark.process


def events_of(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


@pytest.mark.parametrize("text, code, word", [(FLIGHTS, 0, "✓ run completed"), (BROKEN, 1, "✗ run failed")])
def test_the_exit_code_says_how_a_watched_run_ended(vai: Vai, name: str, text: str, code: int, word: str) -> None:
    vai.apply(name, text)
    done = vai("runs", "start", name, "--watch")
    assert done.returncode == code
    assert "✓ Extract flights  completed" in done.stdout
    assert "336,776 rows" in done.stdout
    assert word in done.stdout.splitlines()[-1]
    assert done.stderr == ""


def test_a_run_is_started_once_for_an_idempotency_key(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    first, second = (vai.json("runs", "start", name, "--idempotency-key", "once") for _ in range(2))
    assert first["id"] == second["id"]


def test_a_run_takes_its_input_from_the_argument_a_file_or_stdin(vai: Vai, name: str) -> None:
    vai.apply(name, GATED)
    there = vai.folder / "there"
    there.touch()
    text = json.dumps({"path": str(there)})
    (vai.folder / "input.json").write_text(text)
    for given in (text, "@input.json", "-"):
        assert vai("runs", "start", name, "-w", "--input", given, text=text).returncode == 0


def test_an_input_that_does_not_fit_is_refused_with_its_place(vai: Vai, name: str) -> None:
    vai.apply(name, GATED)
    done = vai("runs", "start", name, "--input", '{"path": 3}')
    assert done.returncode == 1
    assert "input.path: " in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["runs", "start"],
        ["runs", "start", "x", "--input", "{nope"],
        ["runs", "start", "x", "--input", "@nowhere.json"],
        ["runs", "list", "--limit", "many"],
        ["runs", "retry", "last", "--full", "--from-step", "a"],
        ["runs", "retry", "last", "--plan", "--watch"],
        ["runs", "strat"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_is_told_in_a_sentence(vai: Vai, args: list[str]) -> None:
    done = vai(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert 1 <= len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


def test_a_run_is_found_by_its_id_its_end_and_last(vai: Vai, name: str) -> None:
    run_id = vai.begin(name, FLIGHTS)
    for reference in (run_id, run_id[-8:], f"…{run_id[-8:]}", run_id[:-1].upper()):
        assert find_run(vai.api, reference) == run_id
    assert find_run(vai.api, "last") >= run_id  # ids begin with the time
    assert vai.json("runs", "show", run_id[-8:])["id"] == run_id
    vai.begin(name, FLIGHTS)
    for reference, said in (("0", "fits several runs"), ("ffffffff", "no run ffffffff")):
        with pytest.raises(Failure, match=said):
            find_run(vai.api, reference)


@pytest.mark.parametrize("columns", [40, 80])
def test_pages_of_a_failed_run_fit_the_terminal_and_tell_the_error(vai: Vai, name: str, columns: int) -> None:
    run_id = vai.complete(name, BROKEN)
    for page in (["list", "--automation", name], ["show", run_id], ["steps", run_id], ["retry", run_id, "--plan"]):
        done = vai("runs", *page, columns=columns)
        assert done.returncode == 0, done.stderr
        assert max(len(line) for line in done.stdout.splitlines()) <= columns
        if page[0] in ("show", "steps"):
            assert ERROR in " ".join(done.stdout.split())
            assert "✗ check" in done.stdout
    assert run_id[-8:] in vai("runs", "list", "--automation", name, columns=columns).stdout


def test_runs_are_listed_by_status_and_automation(vai: Vai, name: str) -> None:
    vai.complete(name, BROKEN)
    listed = vai.json("runs", "list", "--automation", name, "--status", "failed", "--status", "cancelled")
    assert [run["status"] for run in listed["items"]] == ["failed"]
    assert vai.json("runs", "list", "--automation", name, "--status", "completed")["items"] == []
    assert vai("runs", "list", "--status", "nonsense").returncode == 1


def test_a_retry_takes_up_what_failed_and_shows_only_its_own_attempt(vai: Vai, name: str) -> None:
    run_id = vai.complete(name, BROKEN)
    plan = {step["key"]: step["action"] for step in vai.json("runs", "retry", run_id, "--plan")["steps"]}
    assert plan == {"extract": "reuse", "check": "rerun", "report": "rerun"}
    done = vai("runs", "retry", run_id, "--watch")
    assert done.returncode == 1
    assert "attempt 2, 2 steps to run again" in done.stdout.splitlines()[0]
    assert "Extract flights" not in done.stdout
    full = vai("runs", "retry", run_id, "--full", "--watch", "--json")
    assert {event["attempt"] for event in events_of(full.stdout)} == {3}
    assert vai.json("runs", "steps", run_id, "--attempt", "1")["completedCount"] == 1


def test_of_many_elements_those_are_shown_that_are_not_as_they_should_be(vai: Vai, name: str) -> None:
    each = "kind: work, definition: {fail: \"{{ item == 7 ? 'no tail number' : '' }}\"}"
    vai.complete(name, f"steps:\n  - {{key: each, forEach: {list(range(70))}, {each}}}\n")
    shown, plan = vai("runs", "show", "last").stdout, vai("runs", "retry", "last", "--plan").stdout
    assert set(re.findall(r"each\[\d+\]", shown)) == set(re.findall(r"each\[\d+\]", plan)) == {"each[7]"}
    assert "… and 69 elements that completed" in shown
    assert "… and 69 elements to reuse" in plan
    assert len(re.findall(r"each\[\d+\] +completed", vai("runs", "steps", "last").stdout)) == 69


def test_what_the_state_does_not_allow_is_refused(vai: Vai, name: str) -> None:
    run_id = vai.complete(name, FLIGHTS)
    assert vai("runs", "retry", run_id).returncode == 1
    unknown = vai("runs", "retry", run_id, "--from-step", "nowhere")
    assert unknown.returncode == 1
    assert "stepKey: " in unknown.stderr


def test_logs_are_shown_by_step(vai: Vai, name: str) -> None:
    run_id = vai.begin(name, FLIGHTS)
    followed = vai("runs", "logs", run_id, "--follow")
    assert "extract INFO    working on 336776 rows" in followed.stdout
    only = vai("runs", "logs", run_id, "--step", "check")
    assert "336776" not in only.stdout
    assert "working on 0 rows" in only.stdout
    assert "logged nothing" in vai("runs", "logs", run_id, "--step", "none").stderr
    assert {event["type"] for event in events_of(vai("runs", "logs", run_id, "--json").stdout)} == {"step.log"}


def test_a_cancelled_run_ends_its_watcher_with_130(vai: Vai, name: str) -> None:
    run_id = vai.begin(name, GATED, {"path": str(vai.folder / "never")})
    with vai.start("runs", "watch", run_id) as watching:
        assert watching.stdout is not None
        assert "run created" in watching.stdout.readline()
        done = vai("runs", "cancel", run_id, "--wait")
        assert (done.returncode, done.stdout) == (0, f"⊘ run {run_id[-8:]} is cancelled\n")
        assert "run cancelled" in watching.communicate(timeout=30)[0].splitlines()[-1]
    assert watching.returncode == 130
    assert vai("runs", "cancel", run_id).returncode == 0


def test_cancelling_a_run_that_is_over_says_so(vai: Vai, name: str) -> None:
    run_id = vai.complete(name, FLIGHTS)
    done = vai("runs", "cancel", run_id, "--wait")
    assert done.returncode == 1
    assert "was over already: completed" in done.stdout


def test_ctrl_c_stops_watching_and_not_the_run(vai: Vai, name: str) -> None:
    opened = vai.folder / "opened"
    run_id = vai.begin(name, GATED, {"path": str(opened)})
    with vai.start("runs", "watch", run_id) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        said = watching.communicate(timeout=30)[1]
    assert watching.returncode == 130
    assert "the run goes on" in said
    assert "Traceback" not in said
    opened.touch()
    assert vai("runs", "watch", run_id).returncode == 0


def test_watching_goes_on_after_the_server_was_killed_and_started_again(own_server: Server, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    with contextlib.closing(api_of(own_server.data_dir)) as api:
        vai = Vai(own_server.data_dir, tmp_path, api)
        run_id = vai.begin("gated", GATED, {"path": str(opened)})
    with vai.start("runs", "watch", run_id, "--json") as watching:
        assert watching.stdout is not None
        seen = [json.loads(watching.stdout.readline())]
        while seen[-1]["type"] != "step.started":
            seen.append(json.loads(watching.stdout.readline()))
        own_server.kill()
        opened.touch()
        own_server.start()  # on another port
        rest, said = watching.communicate(timeout=60)
    seen += events_of(rest)
    assert watching.returncode == 0
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["type"] == "run.completed"
    assert "connection to the server is lost" in said


def test_a_terminal_shows_a_line_a_step_that_moves(vai: Vai, name: str) -> None:
    vai.apply(name, BROKEN)
    code, text = on_terminal(vai, "runs", "start", name, "--watch")
    assert code == 1
    assert "\x1b[?25l" in text  # the cursor is hidden while lines move
    assert "✓ Extract flights" in plain(text)
    assert ERROR in " ".join(plain(text).split())


def test_no_color_leaves_the_symbols(vai: Vai, name: str) -> None:
    vai.complete(name, BROKEN)
    code, text = on_terminal(vai, "runs", "list", "--automation", name, NO_COLOR="1")
    assert code == 0
    assert "✗ failed" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)


def test_a_terminal_without_unicode_gets_other_symbols(vai: Vai, name: str) -> None:
    vai.complete(name, BROKEN)
    done = vai("runs", "list", "--automation", name, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "x failed" in done.stdout


def test_a_reader_that_left_ends_the_command_quietly(vai: Vai, name: str) -> None:
    vai.complete(name, FLIGHTS)
    for args in (["runs", "list"], ["runs", "list", "--json"], ["runs", "watch", "last"]):
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = subprocess.Popen(
            [*VAI, *args], env=environment(vai.data_dir), stdout=write_end, stderr=subprocess.PIPE, text=True
        )
        os.close(write_end)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (141, "")


@pytest.mark.parametrize("args", [["runs", "list"], ["runs", "list", "--json"], ["--help"]])
def test_a_full_disk_behind_the_output_is_one_sentence(vai: Vai, name: str, args: list[str]) -> None:
    vai.complete(name, FLIGHTS)
    with open("/dev/full", "w") as full:
        done = subprocess.run([*VAI, *args], env=environment(vai.data_dir), stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"There is no space left where the output goes.\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(vai: Vai, closed: str) -> None:
    for args, code in ((["runs", "list"], 0), (["--help"], 0), (["runs", "show", "nonsense"], 1)):
        command = ["sh", "-c", f'"$@" {closed}', "sh", *VAI, *args]
        done = subprocess.run(command, env=environment(vai.data_dir), capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (code, False)


def test_columns_of_0_are_an_unknown_width(vai: Vai, name: str) -> None:
    vai.complete(name, FLIGHTS)
    assert name in vai("runs", "list", COLUMNS="0").stdout
    assert name in on_terminal(vai, "runs", "list", COLUMNS="0")[1]


def on_terminal(vai: Vai, *args: str, **env: str) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*VAI, *args],
        env=environment(vai.data_dir, 80, LINES="24", **env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=vai.folder,
    )
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # what Linux says when the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    return process.wait(30), b"".join(chunks).decode()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_runs_that_are_over_are_pruned(vai: Vai, name: str) -> None:
    vai.apply(name, FLIGHTS)
    run = vai.json("runs", "start", name)
    vai("runs", "watch", run["id"])
    assert vai("prune").stdout == "0 runs were removed\n", "none is thirty days old"
    counted = vai.json("prune", "--older-than", "0s", "--status", "completed", "--dry-run")
    assert (counted["dryRun"], counted["runs"] > 0) == (True, True)
    for wrong in (("--older-than", "soon"), ("--status", "running")):
        assert vai("prune", *wrong).returncode == 2
    assert vai("prune", "--older-than", "0s", "--status", "completed").returncode == 0
    assert vai("runs", "show", run["id"]).returncode == 1


def test_an_artifact_is_listed_and_fetched(vai: Vai, name: str) -> None:
    vai.apply(name, LARGE)
    run = vai.json("runs", "start", name)
    assert vai("runs", "watch", run["id"]).returncode == 0
    step = vai.json("runs", "steps", run["id"])["steps"][0]
    (found,) = vai.json("artifacts", "list", "--action-run", step["actionRunId"])["artifacts"]
    assert found["id"] == step["artifactId"]
    assert found["id"][:8] in vai("artifacts", "list").stdout
    shown = vai("artifacts", "get", found["id"])
    assert len(json.loads(shown.stdout)["value"]) == 200_000
    target = vai.folder / f"{name}.json"
    assert vai("artifacts", "get", found["id"], "-o", str(target)).returncode == 0
    assert target.read_text() == shown.stdout
    assert vai("artifacts", "get", found["id"], "-o", str(target)).returncode == 2, "it is there already"
    assert vai("artifacts", "get", "x").returncode == 2
