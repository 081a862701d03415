"""The one writer of a process: a thread that commits together all that waits, and answers each waiter on its own."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from vai.ports import Landed, StoreUnavailable, Transaction
from vai.storage import rows
from vai.storage.database import Database, Session
from vai.storage.jobs import Committed, Edit, Job

_logger = logging.getLogger(__name__)

MOST_JOBS = 512
"""How many jobs one transaction takes, so that it stays short."""

Answers = list[tuple[Job, Any]]

_KIND, _STATUS = rows.STEP.index("kind"), rows.STEP.index("status")


class Writer:
    """Takes jobs on the event loop, writes them in its own thread. `on_committed` hears of the runs that changed,
    `on_transaction` of every transaction."""

    def __init__(
        self,
        database: Database,
        on_committed: Callable[[Committed], None],
        on_transaction: Callable[[Transaction], None],
    ) -> None:
        self._database = database
        self._on_committed = on_committed
        self._on_transaction = on_transaction
        self._transactions: list[Transaction] = []
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._work, name="vai-writer", daemon=True)

    def start(self, session: Session) -> None:
        """Begin to write on `session`, which is the thread's own from now on."""
        self._session = session
        self._thread.start()

    def future(self) -> asyncio.Future[Any]:
        """What a job's waiter awaits."""
        return self._loop.create_future()

    def put(self, job: Job) -> asyncio.Future[Any]:
        """Queue a job; its future answers once the job is durable. Raises StoreUnavailable after `close`."""
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        self._queue.put(job)
        return job.future

    async def close(self) -> None:
        """Write what waits, then end."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._take()
            if jobs:
                answers, committed = self._write(jobs)
                with suppress(RuntimeError):  # the loop was closed without closing the store: nobody waits
                    self._loop.call_soon_threadsafe(self._settle, answers, committed, self._transactions)
                self._transactions = []
        if self._session is not None:
            self._session.close()

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for a job, and take all that wait with it. No waiting for more: a batch forms while one commits."""
        jobs: list[Job] = []
        item = self._queue.get()
        while item is not None:
            jobs.append(item)
            if len(jobs) >= MOST_JOBS:
                return jobs, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _write(self, jobs: Sequence[Job]) -> tuple[Answers, list[Committed]]:
        assert self._session is not None  # noqa: S101 - set before the thread starts
        began = time.perf_counter()
        try:
            results, committed = self._session.apply(jobs)
        except Exception as error:
            self._reset()
            reason = self._database.outage.noted(self._database.explain(error))
            self._note(began, [(job, reason) for job in jobs])
            if isinstance(reason, StoreUnavailable) or len(jobs) == 1:
                if not isinstance(reason, StoreUnavailable):
                    _logger.debug("A write was refused", exc_info=error)
                return [(job, reason) for job in jobs], []
        else:
            self._database.outage.over()
            answers = list(zip(jobs, results, strict=True))
            self._note(began, answers)
            return answers, committed
        # One job of the batch cannot be written: apart, so that it fails alone.
        answers = []
        all_committed: list[Committed] = []
        for job in jobs:
            some, committed = self._write([job])
            answers += some
            all_committed += committed
        return answers, all_committed

    def _note(self, began: float, answers: Answers) -> None:
        seconds = time.perf_counter() - began
        steps = [
            (row[_KIND], row[_STATUS])
            for job, answer in answers
            if answer.__class__ is Landed and isinstance(job, Edit)
            for row in job.steps
        ]
        failed = isinstance(answers[0][1], StoreUnavailable)
        self._transactions.append(Transaction(len(answers), seconds, steps, failed))

    def _reset(self) -> None:
        try:
            if self._session is not None:
                self._session.reset()
        except Exception:
            _logger.debug("The database's connection could not be restored yet", exc_info=True)

    def _settle(self, answers: Answers, committed: list[Committed], transactions: list[Transaction]) -> None:
        for job, answer in answers:
            if job.future.done():  # its waiter was cancelled
                continue
            if isinstance(answer, Exception):
                job.future.set_exception(answer)
            else:
                job.future.set_result(answer)
        for run in committed:
            self._on_committed(run)
        for transaction in transactions:
            self._on_transaction(transaction)
