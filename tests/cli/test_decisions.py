"""`vai decisions` against a real server, and what `vai run` asks of whoever sits at the terminal."""

import contextlib
import json
import os
import pty
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.server import VAI, Server, Vai, api_of, environment

pytestmark = pytest.mark.process

GATE = """
steps:
  - key: gate
    kind: approval_gate
    definition:
      title: Publish the report?
      message: 7 rows
      fields: {type: object, properties: {n: {type: integer}}, required: [n]}
      %s
  - {key: after, kind: wait, definition: {seconds: "{{ steps.gate.result.fields.n }}"}}
"""


def asked(vai: Vai, name: str, more: str = "assignees: []") -> dict[str, Any]:
    """The open decision of a new run."""
    vai.apply(name, GATE % more)
    run = vai.json("runs", "start", name)
    with contextlib.closing(vai.api.open_events(run["id"], 0, 30)) as stream:
        for line in stream.iter_lines():
            if line == "event: run.awaiting_approval":
                break
    (found,) = vai.json("decisions", "list", "--run", run["id"])["items"]
    return dict(found)


def test_a_decision_is_listed_shown_and_taken_once(vai: Vai, name: str) -> None:
    decision = asked(vai, name)
    short = decision["id"][-8:]
    assert vai.json("decisions", "show", "last")["id"] == decision["id"]
    listed = vai("decisions", "list", "--status", "pending", "--mine", "--limit", "1000")
    assert short in listed.stdout
    shown = vai("decisions", "show", short, columns=400)
    for fact in ("Publish the report?", "7 rows", "everybody", '"required":["n"]', "pending"):
        assert fact in shown.stdout
    wrong = vai("decisions", "approve", short, "--fields", '{"n": "x"}')
    assert wrong.returncode == 1
    assert "fields.n: " in wrong.stderr
    yes = vai("decisions", "approve", short, "--fields", "-", "--reason", "fine", text='{"n": 0}')
    assert (yes.returncode, yes.stdout) == (0, "✓ approved: Publish the report?\n"), yes.stderr
    late = vai("decisions", "reject", short)
    assert late.returncode == 1
    assert "approved by admin" in " ".join(late.stderr.split())
    assert vai("runs", "watch", decision["runId"]).returncode == 0
    assert vai("decisions", "show", "nowhere").returncode == 1
    assert vai("decisions", "approve", short, "--fields", "[]").returncode == 2


def test_a_no_fails_the_run(vai: Vai, name: str) -> None:
    decision = asked(vai, name)
    assert vai.json("decisions", "reject", decision["id"], "--reason", "too dear")["reason"] == "too dear"
    done = vai("runs", "watch", decision["runId"])
    assert done.returncode == 1
    assert "too dear" in done.stdout
    assert "decided  rejected by admin" in done.stdout


def test_those_who_are_not_named_are_refused(vai: Vai, name: str) -> None:
    decision = asked(vai, name, "assignees: [somebody else]")
    refused = vai("decisions", "reject", decision["id"])
    assert refused.returncode == 1
    assert "somebody else" in refused.stderr
    assert decision["id"] not in {one["id"] for one in vai.json("decisions", "list", "--mine")["items"]}
    explained = vai("runs", "explain", decision["runId"], columns=400)
    assert "somebody else has to decide: Publish the report?" in explained.stdout


def test_an_open_decision_outlives_a_killed_server(own_server: Server, tmp_path: Path, name: str) -> None:
    vai = Vai(own_server.data_dir, tmp_path, api_of(own_server.data_dir))
    assert vai("decisions", "show", "last").returncode == 1
    decision = asked(vai, name)
    own_server.kill()
    assert vai("decisions", "list").returncode == 3
    own_server.start()
    assert vai.json("decisions", "show", decision["id"]) == decision
    assert vai.json("decisions", "approve", decision["id"], "--fields", '{"n": 0}')["status"] == "approved"
    assert vai("runs", "watch", decision["runId"]).returncode == 0


# --- vai run -----------------------------------------------------------------------------------------------


def at_a_terminal(folder: Path, *answers: tuple[str, str]) -> tuple[int, str]:
    """`vai run` on a terminal: after each prompt its answer is typed. The exit code, and all that was seen."""
    (folder / "gate.yaml").write_text(GATE % "assignees: [somebody else]")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*VAI, "run", "gate.yaml", "--json"],
        cwd=folder,
        env=environment(folder / "unused", 80),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, since = "", 0
    for prompt, answer in answers:
        while prompt not in seen[since:]:
            assert select.select([ours], [], [], 30)[0], seen
            seen += _read(ours)
        since = len(seen)
        os.write(ours, f"{answer}\n".encode())
    while more := _read(ours):
        seen += more
    os.close(ours)
    return process.wait(30), seen


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # how a terminal says that nobody has it open any more
        return ""


def test_a_run_in_one_process_asks_on_the_terminal(tmp_path: Path) -> None:
    code, seen = at_a_terminal(
        tmp_path,
        ("Approve? [y/n]", "perhaps"),
        ("Approve? [y/n]", "y"),
        ("Enter for none", '{"n": "x"}'),
        ("Reason", ""),
        ("n: It should be", ""),
        ("Approve? [y/n]", "y"),
        ("Enter for none", '{"n": 0}'),
        ("Reason", "looks right"),
    )
    assert code == 0, seen
    assert "Publish the report?" in seen
    assert "looks right" in seen


def test_a_no_on_the_terminal_fails_the_run(tmp_path: Path) -> None:
    code, seen = at_a_terminal(tmp_path, ("Approve? [y/n]", "n"), ("Reason", "too dear"))
    assert code == 1, seen
    assert "too dear" in seen


@pytest.mark.parametrize(
    ("expiry", "code"), [("assignees: []", 1), ("expiresInSeconds: 0.1", 1), ("expiresInSeconds: 86400", None)]
)
def test_without_a_terminal_nobody_is_waited_for(tmp_path: Path, expiry: str, code: int | None) -> None:
    (tmp_path / "gate.yaml").write_text(GATE % expiry)
    with subprocess.Popen(
        [*VAI, "run", "gate.yaml", "--json"],
        cwd=tmp_path,
        env=environment(tmp_path / "unused", 80),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        if code is None:  # it may be decided by time, so it waits
            while json.loads(process.stdout.readline())["type"] != "run.awaiting_approval":
                assert process.poll() is None
            process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if code is None else code)
    assert ("Step gate asks: Publish the report?" in err) is (expiry == "assignees: []")
