"""Sends a run's trace when the run has ended. Nobody waits for it: what cannot be sent is dropped, and told once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Protocol, TypeVar

from vai.domain.status import RunStatus
from vai.ports import RunStore, StoredEvent, StoreUnavailable
from vai.runs import Door, NotFound
from vai.telemetry.spans import FINAL, Span, is_sampled, spans_of

T = TypeVar("T")

_log = logging.getLogger("vai.traces")

_MOST_WAITING = 10_000  # runs whose traces are to be sent; more are dropped
_RUNS_AT_ONCE = 50
_LAST_SECONDS = 5.0  # what is left is given at the end of the process
_CLOSE_SECONDS = 1.0
_PAGE = 1_000


def are_wanted(environment: Mapping[str, str]) -> bool:
    """True when the standard variables say where traces go."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(environment.get(name) for name in names)


class SpanSink(Protocol):
    """Where spans go. Blocks; called in a thread."""

    def send(self, spans: Sequence[Span]) -> bool: ...
    def close(self) -> None: ...


class Traces:
    """Hears which runs end in this process, and sends their traces. `start` once, then `stop` once."""

    def __init__(self, store: RunStore, door: Door, sink: SpanSink) -> None:
        self._store = store
        self._door = door
        self._sink = sink
        self._ended: asyncio.Queue[tuple[str, int]] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.get_running_loop().create_task(self._keep_sending(), name="vai-traces")

    async def stop(self) -> None:
        """Send what waits, for some seconds unless it is known that the collector does not take it, and end."""
        if self._task is None:
            return
        if not self._is_failing:
            try:
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._ended.join()
            except TimeoutError:
                _log.warning("Traces are lost: the process ends, and the collector has not taken them.")
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await _aside(self._sink.close)

    def on_commit(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        """Note a run that this process ended."""
        for event in events:
            if event.type in FINAL:
                try:
                    self._ended.put_nowait((run_id, event.attempt))
                except asyncio.QueueFull:
                    self._trouble("more runs end than can be sent")

    async def _keep_sending(self) -> None:
        while True:
            runs = [await self._ended.get()]
            while len(runs) < _RUNS_AT_ONCE and not self._ended.empty():
                runs.append(self._ended.get_nowait())
            try:
                await self._send(runs)
            except Exception:
                _log.exception("traces could not be told")  # a defect of ours must not end those that follow
            finally:
                for _ in runs:
                    self._ended.task_done()

    async def _send(self, runs: Sequence[tuple[str, int]]) -> None:
        spans: list[Span] = []
        for run_id, attempt in runs:
            with suppress(NotFound, StoreUnavailable):
                spans += await self._spans(run_id, attempt)
        if not spans:
            return
        if not await _aside(lambda: self._sink.send(spans)):
            self._trouble("the collector does not take them")
        elif self._is_failing:
            self._is_failing = False
            _log.warning("Traces can be sent again.")

    async def _spans(self, run_id: str, attempt: int) -> list[Span]:
        loaded = await self._door.load(run_id)
        if not is_sampled(loaded):
            return []
        events: list[StoredEvent] = []
        while page := await self._store.events(run_id, events[-1].seq if events else 0, _PAGE):
            events += page
            if len(page) < _PAGE:
                break
        return await asyncio.to_thread(spans_of, loaded, attempt, events)

    def _trouble(self, reason: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.warning("Traces cannot be sent, and are dropped until they can: %s.", reason)


async def _aside(work: Callable[[], T]) -> T:
    """The answer of blocking work, done in a thread that the end of the process does not wait for, as it would for
    one of a pool: a collector may keep silent for long."""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()

    def do() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=do, name="vai-traces", daemon=True).start()
    return await asyncio.wrap_future(answer)
