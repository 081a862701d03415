"""What `vai doctor` finds, what it says to do, and its exit code."""

import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from tests.operations.test_backup import at_work
from tests.serving import Server
from vai.settings import Settings
from vai.wiring.doctor import examine
from vai.wiring.finding import Finding

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
                *("data folder", "admin key", "master key", "disk", "artifacts", "database", "schema", "clock"),
                *("engines", "leases", "waiting runs", "schedules", "kinds", "extras", "server"),
            ],
            "ok",
        )
        assert server.url in told["server"].found
        done = subprocess.run([VAI, "doctor", "--data-dir", tmp_path / "data"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("✓") == 15


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
def test_schedules_that_nobody_looks_at(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ["--no-engine"])
    server.start()
    config = {"steps": STEPS, "triggers": [{"type": "schedule", "schedule": "0 0 1 1 *"}]}
    with server.client() as client:
        made = client.post("/automations", json={"name": "yearly", "config": config}).json()
        client.post(f"/automations/{made['id']}/versions/1/publish")
    assert found(tmp_path)["schedules"].level == "ok"
    assert server.stop() == 0
    with sqlite3.connect(tmp_path / "data" / "vai.db") as connection:
        connection.execute("UPDATE triggers SET next_due_at = ?", [int(time.time() * 1000) - 61_000])
    told = found(tmp_path)["schedules"]
    assert told.level == "wrong"
    assert "1 are late" in told.found


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


def test_an_empty_key_and_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").touch(0o600)
    assert (found(tmp_path)["admin key"].level, found(tmp_path)["admin key"].advice[:9]) == ("wrong", "Remove it")
    (tmp_path / "data" / "admin.key").unlink()
    (tmp_path / "data").rmdir()
    (tmp_path / "data").touch()
    assert (found(tmp_path)["data folder"].level, "--data-dir" in found(tmp_path)["data folder"].advice) == (
        "wrong",
        True,
    )


@pytest.mark.process
def test_a_key_that_the_server_does_not_accept(tmp_path: Path) -> None:
    with at_work(tmp_path, f"sqlite:///{tmp_path}/data/vai.db"):
        key = tmp_path / "data" / "admin.key"
        key.write_text("vai_key_of_another_server")
        told = [finding for finding in examine(Settings(data_dir=tmp_path / "data")) if finding.check == "admin key"]
    assert [finding.level for finding in told] == ["ok", "wrong"]
    assert "does not accept" in told[1].found
    assert "of_another_server" not in repr(told)


@pytest.mark.parametrize(
    "content", ['{"url": "http://[::1"}', '{"url": "ftp://x"}', '{"url": 3}', '{"url": "nowhere"}']
)
def test_an_address_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "server.json").write_text(content)
    told = found(tmp_path)["server"]
    assert (told.level, "server.json" in told.advice) == ("wrong", True)


def test_another_program_that_answers_in_the_place_of_the_server(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "server.json").write_text(json.dumps({"url": f"http://127.0.0.1:{other.server_port}"}))
        told = found(tmp_path)["server"]
        other.shutdown()
        thread.join()
    assert (told.level, "as vai does" in told.found) == ("wrong", True)


def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "vai.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE theirs (id TEXT)")
    before = (tmp_path / "data" / "vai.db").read_bytes()
    assert found(tmp_path)["database"].level == "note"
    assert (tmp_path / "data" / "vai.db").read_bytes() == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["vai.db"]


def test_extras_that_the_settings_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vai.wiring.doctor.find_spec", lambda module: None)
    assert found(tmp_path)["extras"].level == "ok"
    told = found(tmp_path, dag_engine="temporal", temporal_address="127.0.0.1:1")["extras"]
    assert (told.level, "vai-engine[temporal]" in told.advice) == ("wrong", True)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    told = found(tmp_path)["extras"]
    assert (told.level, "vai-engine[otel]" in told.advice) == ("note", True)


def test_a_temporal_server_that_is_not_there(tmp_path: Path) -> None:
    told = found(tmp_path, dag_engine="temporal", temporal_address="127.0.0.1:1")["temporal"]
    assert told.level == "wrong"
    assert told.found.startswith("127.0.0.1:1 does not answer")
    assert "VAI_TEMPORAL_ADDRESS" in told.advice


@pytest.mark.parametrize("port", ["", ":nine", ":7233:1"])
def test_an_address_of_temporal_that_is_none(tmp_path: Path, port: str) -> None:
    told = found(tmp_path, dag_engine="temporal", temporal_address=f"127.0.0.1{port}")["temporal"]
    assert (told.level, "VAI_TEMPORAL_ADDRESS" in told.advice) == ("wrong", True)


def test_something_else_at_temporals_address(tmp_path: Path) -> None:
    """What takes connections is not Temporal yet."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        told = found(tmp_path, dag_engine="temporal", temporal_address=address)["temporal"]
    assert told.level == "wrong"


@pytest.mark.temporal
def test_a_temporal_server_is_asked_with_all_that_is_set(tmp_path: Path, temporal: str) -> None:
    on = {"dag_engine": "temporal", "temporal_address": temporal}
    told = found(tmp_path, **on)["temporal"]
    assert told.level == "ok"
    assert "has the namespace default" in told.found
    told = found(tmp_path, **on, temporal_namespace="elsewhere")["temporal"]
    assert (told.level, told.found) == ("wrong", f"{temporal} has no namespace 'elsewhere'.")
    assert "VAI_TEMPORAL_NAMESPACE" in told.advice
    told = found(tmp_path, **on, temporal_tls=True)["temporal"]
    assert (told.level, "VAI_TEMPORAL_TLS" in told.advice) == ("wrong", True)
    told = found(tmp_path, **on, temporal_tls_ca=tmp_path / "none.pem")["temporal"]
    assert (told.level, "certificate cannot be read" in told.found) == ("wrong", True)


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


@pytest.mark.process
def test_files_that_are_kept_elsewhere(tmp_path: Path) -> None:
    with at_work(tmp_path, f"sqlite:///{tmp_path}/data/vai.db") as server:
        save = {"url": f"{server.url}/health", "saveAs": "health.json"}
        automation_id = publish(server, [{"key": "a", "kind": "http_request", "definition": save}])
        with server.client() as client:
            run = client.post(f"/automations/{automation_id}/runs", json={}).json()
            with client.stream("GET", f"/automation-runs/{run['id']}/events") as stream:
                assert "step.completed" in stream.read().decode()
        assert found(tmp_path)["artifacts"].level == "ok"
        told = found(tmp_path, artifacts_url=str(tmp_path / "another"))["artifacts"]
        assert (told.level, "VAI_ARTIFACTS_URL" in told.advice) == ("wrong", True)
        assert "1 of 1 files" in told.found


def test_a_place_of_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in ("nothing://such", f"file://{tmp_path}/file"):
        told = found(tmp_path, artifacts_url=url)["artifacts"]
        assert (told.level, bool(told.advice)) == ("wrong", True), url
