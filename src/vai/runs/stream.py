"""Live events: committed batches are handed to whoever follows the run; whoever missed some reads the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from vai.domain.status import RunStatus
from vai.ports import RunRecord, RunStore, StoredEvent

_QUEUE_LIMIT = 512  # batches that a listener may lag behind before it is dropped
_PAGE = 1000
_PATIENCE_SECONDS = 2.0  # then the store is asked: a notification of another process's commit may be lost
_FINAL_TYPES = frozenset({"run.completed", "run.failed", "run.cancelled"})


class Batch:
    """Events of one commit, in order without gaps. `encoded` is room for one listener's work to serve all."""

    __slots__ = ("encoded", "events")

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.events = events
        self.encoded: bytes | None = None


class SlowListener(Exception):
    """The listener lagged too far behind and was dropped; it can resume by the number of its last event."""


class _Listener:
    """One follower's queue: bounded, because a slow one is dropped and never waited for."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._wake = asyncio.Event()
        self.overrun = False

    def put(self, batch: Batch) -> None:
        if len(self._batches) >= _QUEUE_LIMIT:
            self.overrun = True
            self._batches.clear()
        else:
            self._batches.append(batch)
        self._wake.set()

    async def next(self, patience_seconds: float) -> Batch | None:
        """The next batch; None when none has come for so long."""
        while not self._batches:
            if self.overrun:
                raise SlowListener
            self._wake.clear()
            try:
                async with asyncio.timeout(patience_seconds):
                    await self._wake.wait()
            except TimeoutError:
                return None
        return self._batches.popleft()


class EventHub:
    """Fans committed events out to the listeners of each run. Append its `publish` to the store's `on_commit`."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._listeners: dict[str, set[_Listener]] = {}

    @property
    def listener_count(self) -> int:
        """How many follow a run now."""
        return sum(len(group) for group in self._listeners.values())

    def publish(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        """Hand a commit to the run's listeners; an empty one means that another process has committed."""
        group = self._listeners.get(run_id)
        if group:
            batch = Batch(events)
            for listener in tuple(group):
                listener.put(batch)

    async def follow(self, run: RunRecord, after: int = 0) -> AsyncIterator[Batch]:
        """Every event of `run` with a number above `after`: those stored, then what comes; ends after a final status.

        Raises SlowListener when the caller takes the batches too slowly.
        """
        listener = _Listener()
        # Listening begins before the store is read: nothing committed in between can be missed.
        self._listeners.setdefault(run.id, set()).add(listener)
        try:
            async for batch in self._batches(run, after, listener):
                yield batch
        finally:
            self._leave(run.id, listener)

    def _leave(self, run_id: str, listener: _Listener) -> None:
        group = self._listeners[run_id]
        group.discard(listener)
        if not group:
            del self._listeners[run_id]

    async def _batches(self, run: RunRecord, last: int, listener: _Listener) -> AsyncIterator[Batch]:
        # A number that the run has not reached yet (a client's mistake) must not hide its events.
        last = min(last, run.event_seq)
        final = False
        while True:
            page = await self._store.events(run.id, last, _PAGE)
            if page:
                last, final = page[-1].seq, page[-1].type in _FINAL_TYPES
                yield Batch(page)
                continue
            if final or await self._is_over(run, last):
                return
            async for batch in self._live(listener, last):
                last, final = batch.events[-1].seq, batch.events[-1].type in _FINAL_TYPES
                yield batch
                if final:
                    return

    async def _live(self, listener: _Listener, last: int) -> AsyncIterator[Batch]:
        """Batches that follow on `last` without a gap; ends when the store has to be read."""
        while True:
            batch = await listener.next(_PATIENCE_SECONDS)
            if batch is None or not batch.events or batch.events[0].seq > last + 1:
                return
            if batch.events[-1].seq <= last:
                continue
            if batch.events[0].seq <= last:
                batch = Batch([event for event in batch.events if event.seq > last])
            last = batch.events[-1].seq
            yield batch

    async def _is_over(self, run: RunRecord, last: int) -> bool:
        now = await self._store.run(run.tenant_id, run.id)
        return now is None or (now.status.is_final and now.event_seq <= last)
