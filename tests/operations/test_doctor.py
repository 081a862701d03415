"""What `vai doctor` finds, what it says to do, and its exit code."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.operations.test_backup import at_work
from tests.serving import Server
from vai.settings import Settings
from vai.wiring.doctor import Finding, examine

VAI = str(Path(sys.executable).with_name("vai"))
STEPS = [{"key": "a", "kind": "wait", "definition": {"seconds": 0}}]


def found(tmp_path: Path, **settings: Any) -> dict[str, Finding]:
    """Every finding by what was looked at."""
    return {finding.check: finding for finding in examine(Settings(data_dir=tmp_path / "data", **settings))}


def publish(server: Server, steps: list[dict[str, Any]]) -> str:
    with server.client() as client:
        made = client.post("/automations", json={"name": "nightly", "config": {"steps": steps}})
        assert made.status_code == 201, made.text
        client.post(f"/automations/{made.json()['id']}/versions/1/publish")
        return str(made.json()["id"])


@pytest.mark.process
def test_a_server_that_is_well(tmp_path: Path) -> None:
    with at_work(tmp_path, f"sqlite:///{tmp_path}/data/vai.db") as server:
        told = found(tmp_path)
        assert {check: finding.level for check, finding in told.items()} == dict.fromkeys(
            [
                *("data folder", "admin key", "disk", "database", "schema", "clock", "engines", "leases"),
                *("waiting runs", "kinds", "extras", "server"),
            ],
            "ok",
        )
        assert server.url in told["server"].found
        done = subprocess.run([VAI, "doctor", "--data-dir", tmp_path / "data"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("✓") == 12


def test_before_the_first_start_nothing_is_wrong(tmp_path: Path) -> None:
    told = found(tmp_path)
    assert {finding.level for finding in told.values()} == {"ok", "note"}
    assert "vai serve" in told["database"].advice
    assert not (tmp_path / "data").exists()


@pytest.mark.process
def test_a_killed_server_that_held_runs(tmp_path: Path) -> None:
    with at_work(tmp_path, f"sqlite:///{tmp_path}/data/vai.db") as server:
        automation_id = publish(server, [{"key": "a", "kind": "wait", "definition": {"seconds": 5}}])
        with server.client() as client:
            run = client.post(f"/automations/{automation_id}/runs", json={}).json()
            with client.stream("GET", f"/automation-runs/{run['id']}/events") as stream:
                next(line for line in stream.iter_lines() if "step.started" in line)
        server.kill()
    told = found(tmp_path)
    assert told["engines"].level == "note"
    assert (told["leases"].level, told["server"].level) == ("wrong", "wrong")
    assert "1 runs are held by 1 engines that are dead" in told["leases"].found
    assert "server.json" in told["server"].advice


@pytest.mark.process
def test_runs_that_nobody_takes(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ["--no-engine"])
    server.start()
    automation_id = publish(server, STEPS)
    with server.client() as client:
        run = client.post(f"/automations/{automation_id}/runs", json={}).json()
    assert found(tmp_path)["waiting runs"].level == "ok"  # not for a minute yet
    assert server.stop() == 0
    with sqlite3.connect(tmp_path / "data" / "vai.db") as connection:
        connection.execute("UPDATE automation_runs SET updated_at = updated_at - 61000")
    told = found(tmp_path)["waiting runs"]
    assert told.level == "wrong"
    assert run["id"] in told.found
    assert "vai worker" in told.advice


@pytest.mark.process
def test_kinds_that_are_not_here(tmp_path: Path) -> None:
    actions = tmp_path / "actions.py"
    actions.write_text("import vai\n\n@vai.action\ndef mine() -> None: ...\n")
    server = Server(tmp_path / "data", ["--actions", str(actions)])
    server.start()
    publish(server, [{"key": "a", "kind": "mine"}])
    assert server.stop() == 0
    told = found(tmp_path)["kinds"]
    assert (told.level, told.found) == ("note", "Not here: mine for nightly.")
    assert found(tmp_path, actions=(str(actions),))["kinds"].level == "ok"
    assert found(tmp_path, actions=("no.such.module",))["kinds"].level == "wrong"


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    key = tmp_path / "data" / "admin.key"
    key.write_text("secret")
    key.chmod(0o644)
    told = found(tmp_path)["admin key"]
    assert (told.level, told.advice) == ("wrong", f"chmod 600 {key}")
    assert "secret" not in repr(told)


def test_a_temporal_server_that_is_not_there(tmp_path: Path) -> None:
    told = found(tmp_path, dag_engine="temporal", temporal_address="127.0.0.1:1")
    assert told["temporal"].level == "wrong"


@pytest.mark.process
def test_scripts_get_json_and_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vai.db").write_bytes(b"not a database" * 100)
    command = [VAI, "doctor", "--json", "--data-dir", tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    database = next(finding for finding in told["findings"] if finding["check"] == "database")
    assert database["level"] == "wrong"
    assert "is not a SQLite database" in database["found"]


# --- PostgreSQL --------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.process
def test_a_server_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    told = found(tmp_path, database_url=postgres_url)
    assert (told["database"].level, told["database"].found) == ("note", "It answers, and holds no tables.")
    with psycopg.connect(postgres_url) as connection:  # it made none
        assert connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)
    with at_work(tmp_path, postgres_url):
        told = found(tmp_path, database_url=postgres_url)
        assert {finding.level for finding in told.values()} == {"ok"}


@pytest.mark.postgres
@pytest.mark.process
def test_a_clock_that_is_off(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_work(tmp_path, postgres_url):
        real = __import__("time").time_ns
        monkeypatch.setattr("time.time_ns", lambda: real() + 20_000_000_000)
        told = found(tmp_path, database_url=postgres_url)["clock"]
    assert told.level == "wrong"
    assert re.search(r"clock is (19\.9|20\.0). s ahead", told.found)


def test_a_database_server_that_is_not_there(tmp_path: Path) -> None:
    told = found(tmp_path, database_url="postgresql://me:hush@127.0.0.1:1/vai")["database"]
    assert told.level == "wrong"
    assert "does not answer" in told.found
    assert "hush" not in told.found
