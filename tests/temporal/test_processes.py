"""A whole deployment: an API that drives nothing by itself, a worker on Temporal, and PostgreSQL between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.behaviour.shapes import step
from tests.engine.conftest import ACTIONS
from tests.postgres import Postgres
from tests.serving import Server
from tests.temporal.processes import environment, workers
from vai.temporal import TemporalSettings

pytestmark = [pytest.mark.temporal, pytest.mark.postgres, pytest.mark.process]


async def test_an_api_and_a_worker_on_one_database(
    tmp_path: Path, postgres_url: str, settings: TemporalSettings
) -> None:
    api = Server(tmp_path / "api", ["--actions", ACTIONS], postgres_url, environment(settings))
    api.start()
    try:
        async with workers(tmp_path, settings, database_url=postgres_url):
            with api.client() as client:
                assert client.get("/health", params={"deep": True}).json()["temporal"]["reachable"]
                run = _started(client, [step("one", "noop"), step("two", "until_stopped", "one")])
                assert run["externalJobId"] == f"vai-run-{run['id']}"
                _follow(client, run["id"], "step.log")
                client.post(f"/automation-runs/{run['id']}/cancel").raise_for_status()
                types = _follow(client, run["id"], "stream.end")
                assert types[-2:] == ["run.cancelled", "stream.end"]
                assert client.get(f"/automation-runs/{run['id']}").json()["status"] == "cancelled"
    finally:
        api.kill()


async def test_while_the_database_is_down_nothing_is_accepted_and_what_is_at_work_goes_on(
    tmp_path: Path, settings: TemporalSettings
) -> None:
    database = Postgres(["fsync=off"])  # what was committed stays when it ends at once
    database.start()
    api = Server(tmp_path / "api", ["--actions", ACTIONS], database.url, environment(settings))
    api.start()
    gate, ended, log = tmp_path / "gate", tmp_path / "gate.done", tmp_path / "workers.log"
    try:
        async with workers(tmp_path, settings, database_url=database.url):
            with api.client() as client:
                first = step("first", "until_there", definition={"path": str(gate)})
                run = _started(client, [first, step("second", "noop", "first")])
                _follow(client, run["id"], "step.log")
                database.stop()
                refused = client.post(f"/automations/{run['automationId']}/runs", json={})
                assert refused.status_code == 503, refused.text
                gate.touch()
                await _until(ended.exists)
                await _until(lambda: f"run {run['id']} waits for the database" in log.read_text())
                database.start()
                types = _follow(client, run["id"], "stream.end")
                assert types.count("step.started") == types.count("step.completed") == 2
                assert types[-2:] == ["run.completed", "stream.end"]
                assert client.get("/automation-runs").json()["total"] == 1
    finally:
        api.kill()
        database.remove()


async def _until(true: Callable[[], bool]) -> None:
    """Give way until a fact outside the event stream is there; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def _started(client: httpx.Client, steps: list[dict[str, Any]]) -> Any:
    made = client.post("/automations", json={"name": "one", "config": {"steps": steps}}).json()
    client.post(f"/automations/{made['id']}/versions/1/publish").raise_for_status()
    return client.post(f"/automations/{made['id']}/runs", json={}).json()


def _follow(client: httpx.Client, run_id: str, until: str) -> list[str]:
    """The types of the run's events, live, up to the first of this type."""
    types = []
    with client.stream("GET", f"/automation-runs/{run_id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and line != "data:":
                types.append(json.loads(line[5:]).get("type"))
            if line == f"event: {until}":
                return [*types, until] if until == "stream.end" else types
    raise AssertionError(f"the stream ended without {until}: {types}")
