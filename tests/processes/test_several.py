"""Several vai processes on one PostgreSQL: whoever is asked answers for all, and whoever dies is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import Server

ACTIONS = Path(__file__).parent.parent / "engine" / "actions.py"
# A lease that outlives the test: what is taken over in it was taken over because its engine was known to be dead.
PATIENT = {"VAI_LEASE_SECONDS": "600"}


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Server, Server]]:
    """Two servers with engines on one database, of which they share nothing else."""
    servers = [Server(tmp_path / name, ["--actions", str(ACTIONS)], postgres_url, PATIENT) for name in ("one", "two")]
    with Running(servers):
        yield servers[0], servers[1]


class Running:
    """Starts servers and ends those that are still there."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers

    def __enter__(self) -> None:
        for server in self._servers:
            server.start()

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()


def publish(client: httpx.Client, steps: list[dict[str, Any]]) -> str:
    """A published automation of these steps; its id."""
    made = client.post("/automations", json={"name": f"a{time.monotonic_ns()}", "config": {"steps": steps}})
    assert made.status_code == 201, made.text
    automation_id = str(made.json()["id"])
    assert client.post(f"/automations/{automation_id}/versions/1/publish").status_code == 200
    return automation_id


def start(client: httpx.Client, automation_id: str) -> str:
    """A new run's id."""
    answer = client.post(f"/automations/{automation_id}/runs", json={})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def follow(client: httpx.Client, run_id: str, until: str) -> list[dict[str, Any]]:
    """The run's events from the stream, up to the first of that type."""
    seen = []
    with client.stream("GET", f"/automation-runs/{run_id}/events", timeout=30) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:]))
                if seen[-1]["type"] == until:
                    return seen
    raise AssertionError(f"no {until} in {[event['type'] for event in seen]}")


UNTIL_STOPPED = [{"key": "one", "kind": "until_stopped"}, {"key": "two", "kind": "noop", "dependsOn": ["one"]}]


def test_cancel_through_the_other_server_reaches_the_engine_that_holds_the_run(pair: tuple[Server, Server]) -> None:
    with pair[0].client() as here, pair[1].client() as there:
        run_id = start(here, publish(here, UNTIL_STOPPED))
        follow(there, run_id, "step.log")  # the other server tells what the engine here does, live
        asked = time.monotonic()
        assert there.post(f"/automation-runs/{run_id}/cancel").json()["cancelRequestedAt"]
        follow(here, run_id, "run.cancelled")
        assert time.monotonic() - asked < 10


def test_the_runs_of_a_killed_engine_go_on_elsewhere_at_once(pair: tuple[Server, Server]) -> None:
    with pair[0].client() as here, pair[1].client() as there:
        run_id = start(here, publish(here, UNTIL_STOPPED))
        follow(there, run_id, "step.log")
        pair[0].kill()
        # The lease has minutes to run: this is found by the lock that died with the engine's session.
        events = follow(there, run_id, "step.interrupted")
        assert events[-1]["data"]["reason"] == "engine_lost"
        there.post(f"/automation-runs/{run_id}/cancel")
        events = follow(there, run_id, "run.cancelled")
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_a_server_that_is_stopped_hands_over_without_a_gap(pair: tuple[Server, Server], tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    tell = {"kind": "tell", "definition": {"ledger": str(ledger), "seconds": 0.2}}
    steps = [{"key": f"s{i}", **({"dependsOn": [f"s{i - 1}"]} if i else {}), **tell} for i in range(6)]
    with pair[0].client() as here, pair[1].client() as there:
        automation_id = publish(here, steps)
        runs = [start(here, automation_id) for _ in range(10)]
        assert pair[0].stop() == 0
        for run_id in runs:
            types = [event["type"] for event in follow(there, run_id, "run.completed")]
            assert "step.interrupted" not in types
    lines = [line.split()[:2] for line in ledger.read_text().splitlines()]
    assert len(lines) == len({tuple(line) for line in lines}) == 60


def test_a_paused_engine_finds_its_run_taken_and_its_late_report_refused(tmp_path: Path, postgres_url: str) -> None:
    short = {"VAI_LEASE_SECONDS": "1", "VAI_RENEW_SECONDS": "0.3"}
    paused = Server(tmp_path / "paused", ["--actions", str(ACTIONS)], postgres_url, short)
    other = Server(tmp_path / "other", ["--actions", str(ACTIONS)], postgres_url, short)
    ledger = tmp_path / "ledger"
    steps = [{"key": "one", "kind": "tell", "definition": {"ledger": str(ledger), "seconds": 0.5}}]
    with Running([paused]), paused.client() as here:
        run_id = start(here, publish(here, steps))
        follow(here, run_id, "step.started")
        paused.pause()
        with Running([other]), other.client() as there:
            events = follow(there, run_id, "run.completed")
            paused.resume()
            assert [event["type"] for event in events].count("step.completed") == 1
            assert [event["type"] for event in events].count("step.interrupted") == 1
            # It lives, has let go of what it held, and takes new runs.
            again = start(here, publish(here, [{"key": "a", "kind": "noop"}]))
            follow(here, again, "run.completed")
            after = there.get(f"/automation-runs/{run_id}/events", headers={"Accept": "application/json"}).json()[
                "items"
            ]
            assert after == events


def test_a_server_without_an_engine_leaves_its_runs_to_the_workers(tmp_path: Path, postgres_url: str) -> None:
    api = Server(tmp_path / "api", ["--no-engine", "--actions", str(ACTIONS)], postgres_url)
    with Running([api]), api.client() as client:
        run_id = start(client, publish(client, [{"key": "a", "kind": "noop"}]))
        assert client.get(f"/automation-runs/{run_id}").json()["status"] == "pending"
        command = [Path(sys.executable).with_name("vai"), "worker", "--actions", str(ACTIONS)]
        command += ["--data-dir", tmp_path / "worker", "--database-url", postgres_url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker:
            try:
                follow(client, run_id, "run.completed")
            finally:
                worker.terminate()
            assert worker.wait(30) == 0
