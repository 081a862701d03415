"""Sessions on PostgreSQL that are cut while their engines live: nobody takes a living engine for dead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.postgres import Postgres
from tests.processes.test_several import ACTIONS, PATIENT, Running, follow, publish, start
from tests.serving import Server

LOCKS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# What ends the sessions that a row of it names, and waits until they have ended.
END_LOCKS = f"SELECT count(pg_terminate_backend(pid, 5000)) FROM ({LOCKS}) AS holders"
END_ALL = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Server, Server]]:
    """Two servers with engines on one database."""
    servers = [Server(tmp_path / name, ["--actions", str(ACTIONS)], postgres_url, PATIENT) for name in ("one", "two")]
    with Running(servers):
        yield servers[0], servers[1]


@pytest.mark.parametrize("ended", [END_LOCKS, END_ALL], ids=["locks", "all"])
def test_no_step_of_a_living_engine_is_interrupted_when_its_sessions_are_cut(
    pair: tuple[Server, Server], postgres_url: str, tmp_path: Path, ended: str
) -> None:
    # At work for longer than the engines take to look for the dead, several times.
    tell = {"kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 4}, "onInterrupt": "fail"}
    with pair[0].client() as here, pair[1].client() as there:
        automation_id = publish(here, [{"key": "one", **tell}])
        runs = [start(client, automation_id) for client in (here, there)]
        for run_id in runs:
            follow(here, run_id, "step.started")
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            for _ in range(2):
                held = {pid for (pid,) in admin.execute(LOCKS).fetchall()}
                assert len(held) == 2
                assert admin.execute(ended).fetchone()[0] >= 2
                # Both locks are taken again, by other sessions.
                deadline = time.monotonic() + 20
                while len({pid for (pid,) in admin.execute(LOCKS).fetchall()} - held) < 2:
                    assert time.monotonic() < deadline
        for run_id in runs:
            types = [event["type"] for event in follow(here, run_id, "run.completed")]
            assert "step.interrupted" not in types


def test_steps_go_on_over_a_restart_of_the_database(tmp_path: Path) -> None:
    """A failover to a machine with the same data, under the same address."""
    database = Postgres(["fsync=off"])  # what was committed stays when it ends at once
    database.start()
    try:
        servers = [
            Server(tmp_path / name, ["--actions", str(ACTIONS)], database.url, PATIENT) for name in ("one", "two")
        ]
        tell = {"kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 4}, "onInterrupt": "fail"}
        with Running(servers), servers[0].client() as here, servers[1].client() as there:
            automation_id = publish(here, [{"key": "one", **tell}])
            runs = [start(client, automation_id) for client in (here, there)]
            for run_id in runs:
                follow(here, run_id, "step.started")
            database.stop()
            for server in servers:
                failing = httpx.get(f"{server.url}/health", params={"deep": True}, timeout=30)
                assert (failing.status_code, failing.json()["database"]["status"]) == (503, "failing")
            database.start()
            for run_id in runs:
                types = [event["type"] for event in follow(here, run_id, "run.completed")]
                assert "step.interrupted" not in types
            for server in servers:
                told = server.log.read_text()
                assert told.count("The database cannot be used") == told.count("The database can be used again") == 1
    finally:
        database.remove()
