"""Runs that are over are removed whole or not at all, and what is live stays."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.storage.samples import NOW, Clock, Tenant, accept, add_tenant, change, held_writer, land, log, step
from tests.storage.test_decisions import OPENS, with_gate
from vai.domain.state import Result
from vai.domain.status import RunStatus, StepStatus
from vai.ports import Conflict, DecisionFilter, Landed, Removal, RunFilter, RunRecord, StepWrite
from vai.storage import open_store
from vai.storage.retention import MOST_EVENTS
from vai.storage.store import SqlStore

PARTS = ("automation_runs", "steps", "events", "artifacts", "decisions", "removed_runs")


async def ended(store: SqlStore, tenant: Tenant, *, lines: int = 2, whole: str = "{}", **fields: Any) -> RunRecord:
    """A completed run with a step, its artifact, a decision and log lines."""
    run = await accept(store, tenant, **fields)
    asked = await land(store, with_gate(change(run, events=[OPENS, *[log() for _ in range(lines)]])))
    result = Result({"preview": "…"}, True, f"artifact of {run.id}")
    done = step(status=StepStatus.COMPLETED, attempt=1, action_run_id=run.id, result=result, artifact=whole)
    await land(store, change(run, version=asked.version, status=RunStatus.COMPLETED, steps=[done]))
    return run


async def rows_of(store: SqlStore, *parts: str) -> dict[str, int]:
    def count(connection: Any) -> dict[str, int]:
        found = {part: connection.execute(f"SELECT count(*) FROM {part}").fetchall() for part in parts or PARTS}
        return {part: rows[0][0] for part, rows in found.items()}

    return await store._db.read(count)


async def remove_all(store: SqlStore, which: Removal) -> int:
    total = 0
    while removed := await store.remove_runs(which, 1000):
        total += removed
    return total


def old(tenant: Tenant, **more: Any) -> Removal:
    return Removal(tenant.id, NOW + 1, **more)


async def test_a_run_goes_with_all_that_hangs_on_it(store: SqlStore, tenant: Tenant) -> None:
    other = await add_tenant(store)
    await ended(store, tenant, key="again")
    theirs, live = await accept(store, other), await accept(store, tenant)
    await land(store, change(theirs, status=RunStatus.FAILED))
    assert await store.count_removable(Removal(tenant.id, NOW)) == 0, "what ended at that instant is not older"
    assert await store.count_removable(old(tenant)) == 1
    assert await store.count_removable(old(tenant, statuses=[RunStatus.FAILED])) == 0
    assert await remove_all(store, old(tenant)) == 1
    assert await rows_of(store) == {**dict.fromkeys(PARTS, 0), "automation_runs": 2, "events": 2}
    page = await store.runs(RunFilter(tenant.id))
    assert ([run.id for run in page.items], page.total) == ([live.id], 1)
    assert (await store.runs(RunFilter(tenant.id, [RunStatus.COMPLETED]))).total == 0
    counts = (await store.standing()).runs
    assert {status: count for status, count in counts.items() if count} == {"pending": 1, "failed": 1}
    assert (await store.decisions(DecisionFilter(tenant.id))).total == 0
    assert await store.known_run(tenant.id, tenant.automation_id, "again") is None


async def test_many_go_in_short_transactions_the_oldest_first(store: SqlStore, tenant: Tenant) -> None:
    runs = [await accept(store, tenant) for _ in range(120)]
    for run in runs:
        await land(store, change(run, status=RunStatus.CANCELLED))
    assert await store.remove_runs(old(tenant), 1000) == 50
    left = await store.runs(RunFilter(tenant.id, limit=1000))
    assert {run.id for run in left.items} == {run.id for run in runs[50:]}
    assert await store.remove_runs(old(tenant), 7) == 7
    assert await remove_all(store, old(tenant)) == 63


@pytest.mark.parametrize("lives", ["parent", "child"])
async def test_neither_a_child_nor_a_parent_of_what_is_live_goes(store: SqlStore, tenant: Tenant, lives: str) -> None:
    parent = await accept(store, tenant)
    child = await accept(store, tenant, parent_run_id=parent.id, parent_step_key="call", parent_attempt=1)
    live, final = (parent, child) if lives == "parent" else (child, parent)
    await land(store, change(final, status=RunStatus.COMPLETED))
    assert await remove_all(store, old(tenant)) == 0
    await land(store, change(live, status=RunStatus.FAILED))
    assert await remove_all(store, old(tenant)) == 2
    assert (await store.runs(RunFilter(tenant.id))).total == 0


@pytest.mark.parametrize("first", ["retry", "removal"])
async def test_of_a_retry_and_a_removal_one_wins(store: SqlStore, tenant: Tenant, first: str) -> None:
    run = await accept(store, tenant)
    landed = await land(store, change(run, status=RunStatus.FAILED))
    again = change(run, version=landed.version, status=RunStatus.PENDING, attempt=2, events=[log()])
    removal = store.remove_runs(old(tenant), 10)
    async with held_writer(store):
        # The removal has seen that it may, and comes to the writer before or after.
        if first == "removal":
            removing = asyncio.ensure_future(removal)
            await wait_for_jobs(store)
            retrying = asyncio.ensure_future(store.commit(again))
        else:
            retrying = asyncio.ensure_future(store.commit(again))
            await wait_for_jobs(store)
            removing = asyncio.ensure_future(removal)
    removed, outcome = await removing, await retrying
    found = await rows_of(store, "automation_runs", "events")
    # Within one transaction PostgreSQL's writer does removals before changes; either way nothing is half there.
    assert (removed, type(outcome)) in ((1, Conflict), (0, Landed))
    assert found == ({"automation_runs": 0, "events": 0} if removed else {"automation_runs": 1, "events": 2})


async def wait_for_jobs(store: SqlStore) -> None:
    """Return once something waits for the writer."""
    writer = store._writer
    assert writer is not None
    while writer._queue.empty():
        await store._db.read(lambda _: None)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_removal_does_not_wait_for_who_changes_a_run(
    store: SqlStore, other_store: SqlStore, tenant: Tenant
) -> None:
    runs = [await accept(store, tenant) for _ in range(2)]
    for run in runs:
        await land(store, change(run, status=RunStatus.FAILED))
    go, locked = threading.Event(), threading.Event()

    def retry(connection: Any) -> None:
        connection.execute(
            "UPDATE automation_runs SET status = 'pending', completed_at = NULL WHERE id = %s", (runs[0].id,)
        )
        locked.set()
        go.wait(30)

    retrying = other_store._call(retry)
    while not locked.is_set():
        await store._db.read(lambda _: locked.wait(1))
    assert await store.remove_runs(old(tenant), 10) == 1
    go.set()
    await retrying
    assert await remove_all(store, old(tenant)) == 0
    assert [run.id for run in (await store.runs(RunFilter(tenant.id))).items] == [runs[0].id]


async def test_a_long_runs_events_go_in_pieces_from_the_end(
    store: SqlStore, tenant: Tenant, database_url: str, clock: Clock
) -> None:
    run = await ended(store, tenant, lines=2 * MOST_EVENTS)
    assert await remove_all(store, old(tenant)) == 1
    assert await store.run(tenant.id, run.id) is None
    assert (await rows_of(store, "steps", "removed_runs")) == {"steps": 0, "removed_runs": 1}
    assert await store.sweep()
    left = await store.events(run.id, 0, 10 * MOST_EVENTS)
    assert [event.seq for event in left] == list(range(1, len(left) + 1)), "who still reads them sees no gap"
    assert len(left) == MOST_EVENTS + 2
    # Whoever comes next goes on where this process was killed.
    other = open_store(database_url, clock=clock)
    await other.open()
    while await other.sweep():
        pass
    await other.close()
    assert await rows_of(store) == dict.fromkeys(PARTS, 0)


KILLED = """
import asyncio, sys
from tests.storage.samples import NOW, Clock
from vai.ports import Removal
from vai.storage import open_store

async def main(url, tenant_id):
    store = open_store(url, clock=Clock())
    await store.open()
    while await store.remove_runs(Removal(tenant_id, NOW + 1), 3):
        print("some", flush=True)
        await store.sweep()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_in_the_middle_no_run_is_half_there(store: SqlStore, tenant: Tenant, database_url: str) -> None:
    runs = [await accept(store, tenant) for _ in range(200)]
    for number, run in enumerate(runs):
        lines = [log()] * (MOST_EVENTS + 1 if number % 20 == 0 else 3)
        one = step(status=StepStatus.COMPLETED, attempt=1, action_run_id=run.id)
        await land(store, change(run, status=RunStatus.COMPLETED, events=lines, steps=[one]))
    command = [sys.executable, "-c", KILLED, database_url, tenant.id]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert killed.stdout is not None
    for _ in range(5):
        assert await asyncio.to_thread(killed.stdout.readline) == b"some\n"
    killed.kill()
    killed.communicate(timeout=30)

    def odd(connection: Any) -> list[Any]:
        gone = "run_id NOT IN (SELECT id FROM automation_runs)"
        left = f"SELECT run_id FROM steps WHERE {gone} UNION SELECT run_id FROM events WHERE {gone}"
        halves = f"{left} EXCEPT SELECT run_id FROM removed_runs"
        whole = "SELECT id FROM automation_runs WHERE event_seq <> (SELECT count(*) FROM events WHERE run_id = id)"
        return [*connection.execute(halves).fetchall(), *connection.execute(whole).fetchall()]

    assert await store._db.read(odd) == []
    page = await store.runs(RunFilter(tenant.id))
    assert 0 < page.total < 200
    assert await remove_all(store, old(tenant)) == page.total
    while await store.sweep():
        pass
    assert await rows_of(store) == dict.fromkeys(PARTS, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("made", ["now", "before"])
async def test_a_file_shrinks_when_runs_are_removed(tmp_path: Path, made: str, clock: Clock, database_url: str) -> None:
    path = tmp_path / "vai.db"
    if made == "before":
        # As versions made it that did not ask for it: with a table, so that it cannot be changed without VACUUM.
        with sqlite3.connect(path) as old_file:
            old_file.execute("PRAGMA auto_vacuum=NONE")
            old_file.execute("CREATE TABLE first (one)")
        old_file.close()
    store = open_store(database_url, clock=clock)
    assert isinstance(store, SqlStore)
    await store.open()
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    result = Result({}, True, "large")
    writes: list[StepWrite] = [step(status=StepStatus.COMPLETED, attempt=1, result=result, artifact="x" * 20_000_000)]
    await land(store, change(run, status=RunStatus.COMPLETED, steps=writes))
    assert await remove_all(store, old(tenant)) == 1
    pieces = 0
    while await store.shrink():
        pieces += 1
    assert pieces > 5 if made == "now" else pieces == 0
    await accept(store, tenant)
    await store.close()
    assert path.stat().st_size < 2_000_000
