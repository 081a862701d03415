"""Attached files: named by steps at work alone, there once, and removed when the last row that names them is gone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.storage.samples import NOW, Clock, Tenant, accept, add_tenant, change, land, new_id, step
from vai.domain.status import RunStatus, StepStatus
from vai.ports import ORPHAN_SECONDS, ActionFailed, ArtifactRecord, FileBounds, Label, Removal
from vai.runs import Attachments, Author
from vai.storage import open_contents
from vai.storage.contents import LocalContents
from vai.storage.store import SqlStore

TEXT = Label("a.txt", "text/plain")


class Site:
    """One process: its store, and the folder that it shares with others."""

    def __init__(self, store: SqlStore, folder: Path, **bounds: int) -> None:
        self.store, self.folder = store, folder
        self.contents = open_contents(None, folder)
        self.attachments = Attachments(store, self.contents, Clock(), FileBounds(**bounds))

    async def keep(self, author: Author, content: bytes, label: Label = TEXT) -> ArtifactRecord:
        return await self.attachments.keep(self.attachments.draft(content), label, author, lambda: False)

    async def read(self, record: ArtifactRecord) -> bytes:
        return b"".join([p async for p in await self.attachments.read(record, 0, record.size_bytes - 1)])

    def files(self) -> set[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix() for path in found}


@pytest.fixture
def site(store: SqlStore, tmp_path: Path) -> Site:
    return Site(store, tmp_path / "artifacts")


async def at_work(store: SqlStore, tenant: Tenant, tries: int = 1) -> tuple[Author, Any]:
    """A step at work, and its run."""
    run, action_run_id = await accept(store, tenant), new_id()
    landed = await land(
        store, change(run, steps=[step(status=StepStatus.RUNNING, attempt=1, action_run_id=action_run_id, tries=tries)])
    )
    return Author(tenant.id, run.id, action_run_id, tries), (run, landed.version)


async def end(store: SqlStore, run: Any, author: Author) -> None:
    record, version = run
    done = step(status=StepStatus.COMPLETED, attempt=1, action_run_id=author.action_run_id)
    await land(store, change(record, version=version, status=RunStatus.COMPLETED, steps=[done]))


async def remove(store: SqlStore, tenant: Tenant) -> int:
    return await store.remove_runs(Removal(tenant.id, NOW + 1), 1000)


async def test_the_same_content_is_there_once_in_an_organization(site: Site, tenant: Tenant) -> None:
    store, other = site.store, await add_tenant(site.store)
    (one, _), (two, _), (theirs, _) = [await at_work(store, t) for t in (tenant, tenant, other)]
    kept = [await site.keep(author, b"same") for author in (one, two, theirs)]
    assert kept[0].place == kept[1].place != kept[2].place
    assert len({record.id for record in kept}) == 3
    assert site.files() == {kept[0].place, kept[2].place}
    assert kept[0].sha256 == hashlib.sha256(b"same").hexdigest()
    assert await store.artifact(tenant.id, kept[0].id) == kept[0]
    assert await store.artifact(other.id, kept[0].id) is None


async def test_the_same_name_is_one_artifact_of_its_step(site: Site, tenant: Tenant) -> None:
    author, _ = await at_work(site.store, tenant)
    first = await site.keep(author, b"one")
    assert await site.keep(author, b"one") == first, "asked again it answers the same"
    second = await site.keep(author, b"two")
    assert await site.store.artifact(tenant.id, first.id) is None
    await site.attachments.remove_unnamed()
    assert site.files() == {second.place}
    assert await site.read(second) == b"two"


async def test_only_a_step_at_work_in_this_try_attaches(site: Site, tenant: Tenant) -> None:
    author, run = await at_work(site.store, tenant, tries=2)
    other = await add_tenant(site.store)
    wrong = [
        Author(tenant.id, author.run_id, author.action_run_id, 1),
        Author(tenant.id, author.run_id, new_id(), 2),
        Author(tenant.id, new_id(), author.action_run_id, 2),
        Author(other.id, author.run_id, author.action_run_id, 2),
    ]
    await site.keep(author, b"kept")
    await end(site.store, run, author)
    for late in (*wrong, author):
        with pytest.raises(ActionFailed, match="not at work"):
            await site.keep(late, b"late")
    assert len(site.files()) == 1, "what was refused left nothing"


async def test_a_step_attaches_so_many_files_and_bytes_and_no_more(
    store: SqlStore, tmp_path: Path, tenant: Tenant
) -> None:
    site = Site(store, tmp_path / "artifacts", files=2, bytes=10)
    author, _ = await at_work(store, tenant)
    for number in (1, 2, 2):  # replacing one counts once
        await site.keep(author, b"%d----" % number, Label(f"{number}", "text/plain"))
    with pytest.raises(ActionFailed, match="VAI_ARTIFACTS_PER_STEP"):
        await site.keep(author, b"", Label("3", "text/plain"))
    for too_large in (b"2-----", b"x" * 11):
        with pytest.raises(ActionFailed, match="VAI_ARTIFACTS_STEP_BYTES"):
            await site.keep(author, too_large, Label("2", "text/plain"))
    assert len(site.files()) == 2


@pytest.mark.parametrize("way", ["retention", "automation"])
async def test_a_content_goes_with_the_last_run_that_names_it(site: Site, tenant: Tenant, way: str) -> None:
    store, (author, run) = site.store, await at_work(site.store, tenant)
    shared, alone = await site.keep(author, b"shared"), await site.keep(author, b"alone", Label("b", "text/plain"))
    if way == "retention":
        other, other_run = await at_work(store, tenant)
        assert (await site.keep(other, b"shared")).place == shared.place
    await end(store, run, author)
    if way == "automation":
        assert await store.delete_automation(tenant.id, tenant.automation_id)
        await site.attachments.tidy()
        assert site.files() == set()
        return
    assert await remove(store, tenant) == 1
    assert site.files() == {shared.place, alone.place}, "rows go first"
    await site.attachments.tidy()
    assert site.files() == {shared.place}
    await end(store, other_run, other)
    assert await remove(store, tenant) == 1
    await site.attachments.tidy()
    assert site.files() == set()
    assert list(await store.unnamed(10)) == []


async def test_a_content_that_is_about_to_be_removed_is_not_used_again(site: Site, tenant: Tenant) -> None:
    author, run = await at_work(site.store, tenant)
    former = await site.keep(author, b"same")
    await end(site.store, run, author)
    await remove(site.store, tenant)
    again, _ = await at_work(site.store, tenant)
    kept = await site.keep(again, b"same")
    assert kept.place != former.place
    await site.attachments.remove_unnamed()
    assert await site.read(kept) == b"same"


class Between(LocalContents):
    """Lets something happen after a content was found and before a row names it."""

    def __init__(self, folder: Path, then: Callable[[], Awaitable[None]]) -> None:
        super().__init__(folder)
        self._then, self._loop = then, asyncio.get_running_loop()

    async def _do(self) -> None:
        await self._then()

    def has(self, place: str) -> bool:
        found = super().has(place)
        asyncio.run_coroutine_threadsafe(self._do(), self._loop).result()
        return found


async def test_a_content_that_is_removed_while_somebody_attaches_it_is_written_again(
    site: Site, other_store: SqlStore, tenant: Tenant
) -> None:
    author, run = await at_work(site.store, tenant)
    former = await site.keep(author, b"same")
    again, _ = await at_work(site.store, tenant)
    await end(site.store, run, author)

    async def removal() -> None:
        assert await remove(other_store, tenant) == 1
        await Site(other_store, site.folder).attachments.remove_unnamed()

    attachments = Attachments(site.store, Between(site.folder, removal), Clock())
    kept = await attachments.keep(attachments.draft(b"same"), TEXT, again, lambda: False)
    assert kept.place != former.place
    assert await site.read(kept) == b"same"
    assert site.files() == {kept.place}


@pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
async def test_a_row_that_another_transaction_is_removing_holds_no_content(
    site: Site, database_url: str, tenant: Tenant
) -> None:
    (one, _), (two, _) = await at_work(site.store, tenant), await at_work(site.store, tenant)
    former = await site.keep(one, b"same")
    with psycopg.connect(database_url) as other:
        other.execute("DELETE FROM artifacts WHERE id = %s", [former.id])
        kept = await site.keep(two, b"same")
        other.rollback()
    assert kept.place != former.place


async def test_a_content_that_somebody_removed_by_hand_is_written_again(site: Site, tenant: Tenant) -> None:
    (one, _), (two, _) = await at_work(site.store, tenant), await at_work(site.store, tenant)
    lost = await site.keep(one, b"same")
    site.contents.remove(lost.place or "")
    assert await site.read(await site.keep(two, b"same")) == b"same"


async def test_who_attaches_and_who_removes_the_same_content_never_lose_it(
    store: SqlStore, other_store: SqlStore, tmp_path: Path, tenant: Tenant
) -> None:
    here, there = Site(store, tmp_path / "artifacts"), Site(other_store, tmp_path / "artifacts")
    order = random.Random(7)

    async def write(site: Site) -> None:
        for _ in range(12):
            author, run = await at_work(site.store, tenant)
            kept = await site.keep(author, b"%d" % order.randrange(2))
            assert await site.read(kept), "as long as a row names it, it is there"
            await end(site.store, run, author)

    async def sweep(site: Site, writers: list[asyncio.Task[None]]) -> None:
        while not all(writer.done() for writer in writers):
            await remove(site.store, tenant)
            await site.attachments.remove_unnamed()

    writers = [asyncio.create_task(write(site)) for site in (here, there, here)]
    await asyncio.gather(*writers, sweep(there, writers), sweep(here, writers))
    while await remove(store, tenant):
        pass
    await here.attachments.remove_unnamed()
    assert here.files() == set(), "and nothing is left"


async def test_a_late_whole_result_of_a_removed_run_is_not_kept(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    artifact = ArtifactRecord(new_id(), tenant.id, run.id, new_id(), "json", 2, NOW)
    await land(store, change(run, status=RunStatus.COMPLETED))
    assert await remove(store, tenant) == 1
    assert await store.save_artifact(artifact, "{}") is False
    assert await store.artifact_content(tenant.id, artifact.id) is None


KILLED = """
import asyncio, os, signal, sys
from vai.runs import Attachments, Author
from vai.ports import Label
from vai.storage import open_contents, open_store

class Killed:
    def __init__(self, contents): self.contents = contents
    def __getattr__(self, name): return getattr(self.contents, name)
    def keep(self, draft, place):
        if sys.argv[3] == "written":
            self.contents.keep(draft, place)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    url, folder, _, *author = sys.argv[1:]
    store = open_store(url, clock=lambda: 0)
    await store.open()
    attachments = Attachments(store, Killed(open_contents(None, __import__("pathlib").Path(folder))), lambda: 0)
    draft = attachments.draft(b"orphan")
    await attachments.keep(draft, Label("x", "text/plain"), Author(*author, 1), lambda: False)

asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize("when", ["drafted", "written"])
async def test_what_a_killed_process_wrote_and_did_not_name_is_swept_when_it_is_old(
    site: Site, database_url: str, tenant: Tenant, when: str
) -> None:
    author, _ = await at_work(site.store, tenant)
    kept = await site.keep(author, b"kept", Label("kept", "text/plain"))
    command = [sys.executable, "-c", KILLED, database_url, str(site.folder), when]
    command += [author.tenant_id, author.run_id, author.action_run_id]
    ended = await asyncio.to_thread(subprocess.run, command, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert len(site.files()) == 2
    await site.attachments.sweep()
    assert len(site.files()) == 2, "it might be named in a moment"
    foreign = site.folder / "another-database" / "ab" / "abc-1"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    long_ago = time.time() - ORPHAN_SECONDS - 60
    for name in site.files():
        os.utime(site.folder / name, (long_ago, long_ago))
    await site.attachments.sweep()
    assert site.files() == {kept.place, "another-database/ab/abc-1"}
    assert await site.read(kept) == b"kept"
    again = await site.keep(author, b"orphan", Label("x", "text/plain"))
    assert await site.read(again) == b"orphan"
