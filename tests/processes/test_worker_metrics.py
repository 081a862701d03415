"""A worker tells of itself over HTTP, as a server does."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import free_port

VAI = Path(sys.executable).with_name("vai")


class Worker:
    """`vai worker --metrics-port`, on a SQLite database of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.database = folder / "vai.db"
        self._log = folder / "worker.log"
        command = [VAI, "worker", "--metrics-port", str(port), "--data-dir", folder]
        variables = {**os.environ, "VAI_LEASE_SECONDS": "0.4", "VAI_RENEW_SECONDS": "0.1"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=variables)

    def get(self, path: str, **headers: str) -> httpx.Response | None:
        """The answer; None while nothing listens."""
        assert self.process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"{self.url}{path}", headers=headers, timeout=30)
        except httpx.TransportError:
            return None

    def samples(self) -> dict[str, float]:
        """The metrics without labels."""
        answer = self.get("/metrics")
        if answer is None:
            return {}
        assert answer.status_code == 200, answer.text
        families = text_string_to_metric_families(answer.text)
        return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    found = Worker(tmp_path, free_port())
    until(lambda: found.get("/health") is not None)
    yield found
    found.process.kill()
    found.process.wait()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # waiting for another process: there is nothing else to wait on


def test_a_worker_serves_its_health_and_metrics_and_nothing_else(worker: Worker) -> None:
    health = worker.get("/health?deep=true")
    assert health is not None
    assert health.json()["engine"]["status"] == "ok"
    assert worker.samples()["vai_engines_live"] == 1
    for path in ("/", "/openapi.json", "/api/v1/automation-runs", "/api/v1/health"):
        answer = worker.get(path)
        assert answer is not None
        assert answer.status_code == 404
    worker.process.terminate()
    assert worker.process.wait(30) == 0


def test_a_worker_tells_others_than_this_machine_nothing_without_a_key(worker: Worker) -> None:
    answer = worker.get("/metrics", Host="worker.example")
    assert answer is not None
    assert answer.status_code == 401
    key = (worker.database.parent / "admin.key").read_text().strip()
    answer = worker.get("/metrics", Host="worker.example", **{"X-API-Key": key})
    assert answer is not None
    assert answer.status_code == 200


def test_a_worker_that_was_taken_for_dead_tells_it(worker: Worker) -> None:
    assert worker.samples()["vai_engine_lease_losses_total"] == 0
    with closing(sqlite3.connect(worker.database, timeout=30)) as database, database:
        database.execute("DELETE FROM engines")  # what another engine does that finds it dead
    until(lambda: worker.samples()["vai_engine_lease_losses_total"] > 0)
    until(lambda: worker.samples()["vai_engines_live"] == 1)
