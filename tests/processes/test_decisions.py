"""People race for decisions while a serving process is killed: each decision has one outcome, and all hear the same."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes.test_several import Running, follow, publish, start
from tests.serving import Server

GATE = [{"key": "gate", "kind": "approval_gate", "definition": {"title": "Go on?"}}]
RUNS = 12
OUTCOMES = {"approve": ("approved", "run.completed"), "reject": ("rejected", "run.failed")}


@pytest.fixture(params=["sqlite", "postgres"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    """One server on SQLite, or two on one PostgreSQL. The last one is to be killed."""
    if request.param == "sqlite":
        found = [Server(tmp_path / "one")]
    else:
        url = request.getfixturevalue("postgres_url")
        found = [Server(tmp_path / name, (), url) for name in ("one", "two")]
    with Running(found):
        yield found


def decide(client: httpx.Client, decision_id: str, word: str) -> tuple[str, httpx.Response | None]:
    """What is answered to one of those who race; None when the server died over it."""
    try:
        return word, client.post(f"/decisions/{decision_id}/{word}", json={"reason": word})
    except httpx.TransportError:
        return word, None


def race(servers: list[Server], decision_ids: list[str]) -> dict[str, list[tuple[str, httpx.Response | None]]]:
    """Four people decide each, two by each server if there are two; a server is killed when half is decided."""
    told: dict[str, list[tuple[str, httpx.Response | None]]] = {}
    clients = [server.client() for server in (*servers, *servers)]
    with ThreadPoolExecutor(8) as pool:
        for number, decision_id in enumerate(decision_ids):
            asked = [
                pool.submit(decide, client, decision_id, word)
                for client in clients[:2]
                for word in ("approve", "reject")
            ]
            killed = pool.submit(servers[-1].kill) if number == len(decision_ids) // 2 else None
            told[decision_id] = [one.result() for one in asked]
            if killed is not None:
                killed.result()
    for client in clients:
        client.close()
    return told


def prove(client: httpx.Client, decision: dict[str, Any], told: list[tuple[str, httpx.Response | None]]) -> None:
    """Whoever was answered heard of the one outcome, which is also the run's."""
    answers = [(word, answer) for word, answer in told if answer is not None]
    winners = [word for word, answer in answers if answer.status_code == 200]
    assert len(winners) <= 1
    assert [decision["reason"]] == winners or not winners
    for _, answer in answers:
        assert answer.status_code in (200, 409), answer.text
        assert answer.json()["outcome" if answer.status_code == 409 else "status"] == decision["status"]
        assert answer.json()["decidedBy"] == decision["decidedBy"]
    status, end = OUTCOMES[decision["reason"]]
    events = [event["type"] for event in follow(client, decision["runId"], end)]
    assert (decision["status"], events.count("step.decided")) == (status, 1)


def test_each_decision_has_one_outcome_though_a_server_is_killed(servers: list[Server]) -> None:
    with servers[0].client() as client:
        automation_id = publish(client, GATE)
        for run_id in [start(client, automation_id) for _ in range(RUNS)]:
            follow(client, run_id, "run.awaiting_approval")
        asked = client.get("/decisions").json()["items"]
    assert len(asked) == RUNS
    raced, kept = asked[2:], asked[:2]
    told = race(servers, [one["id"] for one in raced])
    servers[-1].start()
    with servers[-1].client() as client:
        for one in kept:  # nobody has answered these: they are as they were
            assert client.get(f"/decisions/{one['id']}").json() == one
        left = client.get("/decisions?status=pending").json()["items"]
        for one in left:
            word, answer = decide(client, one["id"], "approve")
            assert answer is not None
            assert answer.status_code == 200
            told.setdefault(one["id"], []).append((word, answer))
        for one in asked:
            prove(client, client.get(f"/decisions/{one['id']}").json(), told[one["id"]])
