"""Turns at a database file: many readers or one writer, nobody overtakes, whoever leaves the line holds up nobody."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actions.context import Context
from vai.actions.file_locks import FileLock, FileLocks
from vai.ports import ActionStopped


class User:
    """Holds files until it is told to let go."""

    def __init__(self, locks: FileLocks, files: dict[str, bool]) -> None:
        self.context = Context()
        self.holds = asyncio.Event()
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._use(locks, files))

    async def _use(self, locks: FileLocks, files: dict[str, bool]) -> None:
        async with locks.held(files, self.context):
            self.holds.set()
            await self.let_go.wait()

    async def done(self) -> None:
        self.let_go.set()
        await self.task

    @property
    def was_queued(self) -> bool:
        return bool(self.context.told)


@pytest.fixture
def use() -> Callable[..., User]:
    locks = FileLocks()
    return lambda *files, writes=True: User(locks, dict.fromkeys(files, writes))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_readers_share_and_a_writer_waits_for_all_of_them(use: Callable[..., User]) -> None:
    readers = [use("x", writes=False) for _ in range(3)]
    await settle()
    assert all(reader.holds.is_set() and not reader.was_queued for reader in readers)
    writer = use("x")
    await settle()
    late_reader = use("x", writes=False)
    await settle()
    assert (writer.was_queued, late_reader.was_queued) == (True, True)
    for reader in readers:
        assert not writer.holds.is_set()
        await reader.done()
    await writer.holds.wait()
    await settle()
    assert not late_reader.holds.is_set()
    await writer.done()
    await late_reader.done()


@pytest.mark.parametrize("is_asked", [True, False])
async def test_one_that_leaves_the_line_holds_up_nobody(use: Callable[..., User], is_asked: bool) -> None:
    reader = use("x", writes=False)
    await settle()
    writer = use("x")
    await settle()
    behind = use("x", writes=False)
    await settle()
    if is_asked:
        writer.context.cancel()
    else:
        writer.task.cancel()
    with pytest.raises(ActionStopped if is_asked else asyncio.CancelledError):
        await writer.task
    await behind.holds.wait()
    await reader.done()
    await behind.done()
    last = use("x")
    await last.done()
    assert not last.was_queued


async def test_one_that_leaves_just_when_it_is_its_turn() -> None:
    lock = FileLock()
    assert lock.take(True)
    waiting = asyncio.create_task(lock.wait(True))
    await settle()
    lock.release(True)
    waiting.cancel()  # it was given the lock and does not know yet
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert lock.take(True)


async def test_two_files_in_either_order_are_no_deadlock(use: Callable[..., User]) -> None:
    users = [use("a", "b"), use("b", "a"), use("a", "b")]
    for user in users:
        await user.holds.wait()
        await user.done()


async def test_a_link_to_a_file_is_that_file(use: Callable[..., User], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    first = use(str(tmp_path / "file"))
    await settle()
    second = use(str(tmp_path / "link"))
    await settle()
    assert not second.holds.is_set()
    await first.done()
    await second.done()
