"""Who may have a database file open: one process that writes, or any number that read. DuckDB allows no more,
and parallel steps must not have to care."""

import asyncio
import contextlib
import os
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping

from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionContext


class FileLock:
    """One writer or many readers, in the order in which they came. Used on one event loop, so no step of it can
    be interrupted but where it awaits."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bool, asyncio.Future[None]]] = deque()
        self._readers = 0
        self._is_written = False

    def take(self, writes: bool) -> bool:
        """Take it if it is free and nobody came earlier."""
        return not self._waiting and self._grant(writes)

    async def wait(self, writes: bool) -> None:
        """Take it when it is one's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (writes, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given to one who no longer wants it
                self.release(writes)
            else:
                self._waiting.remove(entry)
                self._wake()  # those behind may have waited for this one only
            raise

    def release(self, writes: bool) -> None:
        """Give it back."""
        if writes:
            self._is_written = False
        else:
            self._readers -= 1
        self._wake()

    def _grant(self, writes: bool) -> bool:
        if self._is_written or (writes and self._readers):
            return False
        if writes:
            self._is_written = True
        else:
            self._readers += 1
        return True

    def _wake(self) -> None:
        while self._waiting:
            writes, turn = self._waiting[0]
            if turn.cancelled():
                return  # it takes itself out of the line, and wakes the next
            if not self._grant(writes):
                return
            self._waiting.popleft()
            turn.set_result(None)


class FileLocks:
    """Locks by the real path of a file, within this process."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, FileLock] = defaultdict(FileLock)

    @contextlib.asynccontextmanager
    async def held(self, files: Mapping[str, bool], context: ActionContext) -> AsyncIterator[None]:
        """Hold all these files (path: whether it is written). Raises ActionStopped if asked to stop while
        it waits, and tells by a progress that it waits."""
        wanted = _by_real_path(files)
        with contextlib.ExitStack() as stack:
            for path in sorted(wanted):  # always in the same order, so that no two wait for each other
                lock, writes = self._locks[path], wanted[path]
                if not lock.take(writes):
                    name = os.path.basename(path)
                    context.progress(phase="queued", message=f"Waits until {name} is free.")
                    await stop_on_cancel(lock.wait(writes), context)
                stack.callback(lock.release, writes)
            yield


def _by_real_path(files: Mapping[str, bool]) -> dict[str, bool]:
    wanted: dict[str, bool] = {}
    for path, writes in files.items():
        real = os.path.realpath(path)
        wanted[real] = writes or wanted.get(real, False)
    return wanted
