"""Who may have a database file open: one process that writes, or any number that read. DuckDB allows no more,
and parallel steps must not have to care."""

import contextlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

import anyio

from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionContext


class _Lock:
    """One writer or many readers, in the order in which they came."""

    def __init__(self) -> None:
        self.door = anyio.Lock()  # whoever waits for the others to leave, waits inside: nobody overtakes
        self.changed = anyio.Condition()
        self.readers = 0
        self.is_written = False

    def is_free(self, writes: bool) -> bool:
        return not self.is_written and not (writes and self.readers) and not self.door.locked()

    async def acquire(self, writes: bool) -> None:
        async with self.door, self.changed:
            while self.is_written or (writes and self.readers):
                await self.changed.wait()
            if writes:
                self.is_written = True
            else:
                self.readers += 1

    async def release(self, writes: bool) -> None:
        with anyio.CancelScope(shield=True):
            async with self.changed:
                if writes:
                    self.is_written = False
                else:
                    self.readers -= 1
                self.changed.notify_all()


class FileLocks:
    """Locks by the real path of a file, within this process."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, _Lock] = defaultdict(_Lock)

    @contextlib.asynccontextmanager
    async def held(self, files: Mapping[str, bool], context: ActionContext) -> AsyncIterator[None]:
        """Hold all these files (path: whether it is written). Raises ActionStopped if asked to stop while
        it waits, and tells by a progress that it waits."""
        wanted = _by_real_path(files)
        async with contextlib.AsyncExitStack() as stack:
            for path in sorted(wanted):  # always in the same order, so that no two wait for each other
                lock, writes = self._locks[path], wanted[path]
                if not lock.is_free(writes):
                    name = os.path.basename(path)
                    context.progress(phase="queued", message=f"Waits until {name} is free.")
                await stop_on_cancel(lock.acquire(writes), context)
                stack.push_async_callback(lock.release, writes)
            yield


def _by_real_path(files: Mapping[str, bool]) -> dict[str, bool]:
    wanted: dict[str, bool] = {}
    for path, writes in files.items():
        real = os.path.realpath(path)
        wanted[real] = writes or wanted.get(real, False)
    return wanted
