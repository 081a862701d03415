"""A full disk under the database: told as such, nothing half-changed, and everything goes on when there is room."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.postgres import Postgres
from tests.processes.test_several import ACTIONS, PATIENT, Running, follow, publish, start
from tests.serving import Server
from tests.small_disk import SmallDisk, may_mount, small_disk

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not may_mount(), reason="mounting a file system is not allowed here"),
]
_NOBODY = 65534
Site = tuple[Server, SmallDisk]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A server whose database is on a small disk."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "disk", 24))
        url, data_dir = None, disk.folder / "data"
        if request.param == "postgresql":
            url, data_dir = _database_on(disk, stack), tmp_path / "data"
        server = Server(data_dir, ["--actions", str(ACTIONS)], url, PATIENT)
        stack.enter_context(Running([server]))
        yield server, disk


def _database_on(disk: SmallDisk, stack: ExitStack) -> str:
    """The URL of a database whose tables are on the disk; the server's own log of changes is elsewhere."""
    postgres = Postgres()
    stack.callback(postgres.remove)
    postgres.start()
    place = disk.folder / "tables"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, _NOBODY, _NOBODY)
    for folder in place.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
        admin.execute("CREATE DATABASE small TABLESPACE small")
    return postgres.url.replace("/postgres?", "/small?")


def _until_refused(client: httpx.Client, automation_id: str) -> httpx.Response:
    """Start runs until the disk takes no more: a database has some room of its own."""
    for _ in range(3_000):
        answer = client.post(f"/automations/{automation_id}/runs", json={"input": {"text": "x" * 8_000}})
        if answer.status_code != 201:
            return answer
    raise AssertionError("the disk is never full")


@pytest.mark.timeout(180)
def test_a_full_disk_is_told_and_loses_nothing(site: Site) -> None:
    server, disk = site
    with server.client() as client:
        automation_id = publish(client, [{"key": "wait", "kind": "wait", "definition": {"seconds": 0.5}}])
        before = [start(client, automation_id) for _ in range(20)]
        disk.fill()
        refused = _until_refused(client, automation_id)
        assert (refused.status_code, refused.json()["type"]) == (503, "/errors/disk-full")
        assert "disk" in refused.json()["detail"]
        total = client.get("/automation-runs", params={"limit": 0}).json()["total"]
        health = httpx.get(f"{server.url}/health", params={"deep": "true"}, timeout=20)
        assert (health.status_code, health.json()["database"]["status"]) == (503, "failing")
        assert "full" in health.json()["database"]["detail"]
        assert client.get("/automation-runs", params={"limit": 0}).json()["total"] == total, "refused means not kept"
        disk.make_room()
        for run_id in (*before, start(client, automation_id)):
            events = follow(client, run_id, "run.completed")
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        _wait_for_health(server)
    log = server.log.read_text()
    assert log.count("The database cannot be used") == log.count("The database can be used again") > 0


def _wait_for_health(server: Server) -> None:
    deadline = time.monotonic() + 30
    while httpx.get(f"{server.url}/health", params={"deep": "true"}, timeout=20).json()["status"] != "ok":
        assert time.monotonic() < deadline
