"""How a process says that it is well, or what is wrong with it, and to whom it says how much."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.actions import gate
from tests.api.site import Organization, Site, serving, step
from tests.postgres import NOT_DURABLE, Postgres
from vai.ports import StoreUnavailable
from vai.settings import Settings
from vai.wiring import CannotServe
from vai.wiring.system import running


async def deep(site: Site, path: str = "/health", **headers: str) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{site.url}{path}", params={"deep": True}, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
async def test_every_part_is_told(site: Site, path: str) -> None:
    status, found = await deep(site, path)
    assert (status, found["status"]) == (200, "ok")
    assert {name: part["status"] for name, part in found.items() if name != "status"} == dict.fromkeys(
        ("database", "streams", "engine", "queue", "leases"), "ok"
    )
    assert found["database"]["database"] == "sqlite"
    assert found["database"]["latencyMs"] > 0
    assert found["leases"]["liveEngines"] == 1
    assert found["engine"]["renewedAt"].endswith("Z")


async def test_who_asks_from_elsewhere_without_a_key_hears_the_status_alone(site: Site) -> None:
    status, found = await deep(site, Host="vai.example")
    assert status == 200
    assert found["database"] == {"status": "ok"}
    _, found = await deep(site, Host="vai.example", **{"X-API-Key": site.key})
    assert "latencyMs" in found["database"]


async def test_an_engine_that_drains_is_degraded(site: Site, us: Organization) -> None:
    with gate("drained"):
        run = await us.run(step("a", "wait_at", name="drained"))
        await us.until(run["id"], "step.started")
        draining = asyncio.create_task(site.system.engine.stop(30))
        await asyncio.sleep(0)
        status, found = await deep(site)
        assert (status, found["status"]) == (200, "degraded")
        assert found["engine"] | {"renewedAt": None} == {
            "status": "degraded",
            "runsHeld": 1,
            "stepsAtWork": 1,
            "draining": True,
            "renewedAt": None,
            "leasesLost": 0,
        }
    await draining


async def test_an_engine_that_does_not_renew_is_degraded(site: Site) -> None:
    site.system.engine.renewed_at = 0
    _, found = await deep(site)
    assert (found["status"], found["engine"]["status"]) == ("degraded", "degraded")


async def test_runs_that_wait_for_long_degrade_the_queue(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", engine=False) as site, site.organization() as us:
        await us.run(step("a"))
        _, found = await deep(site)
        assert (found["queue"]["status"], found["queue"]["waiting"]) == ("ok", 1)
        store = site.system.store
        store._clock = lambda: 4_000_000_000_000  # type: ignore[attr-defined]
        _, found = await deep(site)
        assert (found["status"], found["queue"]["status"]) == ("degraded", "degraded")


async def test_a_database_that_cannot_be_written_is_failing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full() -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(site.system.store, "check", full)
    status, found = await deep(site)
    assert (status, found["status"]) == (503, "failing")
    assert found["database"]["detail"] == "The disk is full."


@pytest.mark.postgres
async def test_a_database_that_goes_and_comes_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Postgres(["fsync=off"])  # what was committed stays when it ends at once
    server.start()
    try:
        async with serving(tmp_path / "data", database_url=server.url, renew_seconds=0.05, poll_seconds=0.05) as site:
            assert (await deep(site))[0] == 200
            server.stop()
            status, found = await deep(site)
            assert (status, found["status"], found["database"]["status"]) == (503, "failing", "failing")
            assert found["database"]["since"]
            # Everybody who tries again meets the trouble, and says nothing more of it.
            for _ in range(3):
                await deep(site)
            server.start()
            async with asyncio.timeout(30):
                while (await deep(site))[0] != 200:  # noqa: ASYNC110 (each look takes its time)
                    await asyncio.sleep(0)
        told = [record.message for record in caplog.records if record.name == "vai.storage"]
        assert [line.split(",")[0].split(";")[0] for line in told] == [
            "The database cannot be used",
            "The database can be used again",
        ]
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM engines").fetchone() == (0,)
    finally:
        server.remove()


@pytest.mark.postgres
async def test_others_take_every_connection_of_the_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Postgres([*NOT_DURABLE, "max_connections=20", "max_wal_senders=0"])
    server.start()
    try:
        async with (
            serving(tmp_path / "data", database_url=server.url, renew_seconds=0.05, poll_seconds=0.05) as site,
            site.organization() as us,
        ):
            with contextlib.ExitStack() as others:
                with gate("crowded"):
                    run = await us.run(step("a", "wait_at", name="crowded"))
                    await us.until(run["id"], "step.started")
                    found = await crowded_out(server.url, site, others)
                assert "has no connection left; raise max_connections" in found["database"]["detail"]
                told = [record for record in caplog.records if record.name == "vai.storage"]
                for _ in range(3):
                    assert (await deep(site))[0] == 503
                assert [record for record in caplog.records if record.name == "vai.storage"] == told
            async with asyncio.timeout(30):
                await us.until(run["id"], "run.completed")
                while (await deep(site))[0] != 200:  # noqa: ASYNC110 (each look takes its time)
                    await asyncio.sleep(0)
    finally:
        server.remove()


async def crowded_out(url: str, site: Site, others: contextlib.ExitStack) -> dict[str, Any]:
    """Take every connection there is, also those of the site, until it says that it has none."""
    admin = others.enter_context(psycopg.connect(url, autocommit=True))
    kept = [admin.info.backend_pid]
    async with asyncio.timeout(60):
        while True:
            admin.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND NOT pid = ANY(%s)",
                [kept],
            )
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    kept.append(others.enter_context(psycopg.connect(url)).info.backend_pid)
            status, found = await deep(site)
            if status == 503:
                return found


@pytest.mark.postgres
def test_a_start_without_a_connection_left_says_so(tmp_path: Path) -> None:
    server = Postgres([*NOT_DURABLE, "max_connections=6", "max_wal_senders=0"])
    server.start()
    try:
        with contextlib.ExitStack() as others:
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    others.enter_context(psycopg.connect(server.url))
            with pytest.raises(CannotServe, match="has no connection left; raise max_connections"):
                asyncio.run(begin(tmp_path, server.url))
    finally:
        server.remove()


async def begin(folder: Path, url: str) -> None:
    async with running(Settings(data_dir=folder / "data", database_url=url)):
        pass
