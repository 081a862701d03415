"""A whole deployment: an API that drives nothing by itself, a worker on Temporal, and PostgreSQL between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.behaviour.shapes import step
from tests.engine.conftest import ACTIONS
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
