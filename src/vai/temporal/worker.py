"""The Temporal worker of one process: drives runs and executes steps, its own queue's and those of labels and kinds."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from vai.ports import Actions, Clock, Store
from vai.runs import Door
from vai.temporal.advance import Advancing
from vai.temporal.connecting import TemporalSettings, connect
from vai.temporal.messages import queue_of
from vai.temporal.steps import HEARTBEATS, Steps
from vai.temporal.workflow import RunWorkflow

_log = logging.getLogger("vai.temporal")

_MOST_STEPS = 200  # at work in one process
_RETRY_SECONDS = 1.0
_STICKY_SECONDS = 5.0  # after which a workflow goes from a worker that does not take it up to any other
_POLLERS = PollerBehaviorAutoscaling(minimum=2, maximum=50, initial=5)
_FEW_POLLERS = PollerBehaviorAutoscaling(minimum=1, maximum=50, initial=1)  # of a queue that is mostly empty


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox, which lets the pure modules of ours through as they are."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules("vai", "msgspec", "uuid_utils")
    )


class TemporalWorker:
    """`start` once, then `stop` once; meanwhile it keeps connecting when the server is away."""

    def __init__(self, store: Store, door: Door, actions: Actions, clock: Clock, settings: TemporalSettings) -> None:
        self._settings = settings
        self._advancing = Advancing(store, door, clock)
        self._steps = Steps(store, door, actions, clock, settings.kinds)
        self._task: asyncio.Task[None] | None = None
        self._workers: list[Worker] = []
        self._stopping = asyncio.Event()

    @property
    def steps_at_work(self) -> int:
        """How many steps it executes now."""
        return self._steps.at_work

    async def start(self) -> None:
        """Begin to take work, now or when the server is there."""
        self._task = asyncio.create_task(self._work())

    def hurry(self) -> None:
        """Report running steps as interrupted now, without waiting for them."""
        self._steps.hand_back()

    async def stop(self) -> None:
        """Take nothing more, give running steps their time, report the rest as interrupted."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _work(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        level = logging.WARNING  # once, until it was reached
        while not self._stopping.is_set():
            try:
                client = await connect(self._settings, lazy=False)
                level = logging.WARNING
                await self._work_with(client, stopping)
            except (RuntimeError, OSError) as error:
                _log.log(level, "Temporal at %s does not answer, and is tried again: %s", self._settings.address, error)
                level = logging.DEBUG
                await asyncio.wait([stopping], timeout=_RETRY_SECONDS)
        stopping.cancel()

    async def _work_with(self, client: Client, stopping: asyncio.Task[bool]) -> None:
        of_kinds = (None, *self._steps.kinds)
        workers = [self._worker(client, label, kind) for label in (None, *self._settings.labels) for kind in of_kinds]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)
            await asyncio.gather(*tasks)

    def _worker(self, client: Client, label: str | None, kind: str | None) -> Worker:
        settings = self._settings
        queue = queue_of(settings.task_queue, label, kind)
        drives = queue == settings.task_queue
        heartbeat = timedelta(seconds=settings.heartbeat_seconds / HEARTBEATS)
        return Worker(
            client,
            task_queue=queue,
            workflows=[RunWorkflow] if drives else [],
            activities=[self._steps.step, self._advancing.advance] if drives else [self._steps.step],
            workflow_runner=workflow_runner(),
            max_concurrent_activities=_MOST_STEPS,
            activity_task_poller_behavior=_POLLERS if kind is None else _FEW_POLLERS,
            workflow_task_poller_behavior=_POLLERS,
            max_heartbeat_throttle_interval=heartbeat,
            default_heartbeat_throttle_interval=heartbeat,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=min(_STICKY_SECONDS, settings.heartbeat_seconds)),
            graceful_shutdown_timeout=timedelta(seconds=settings.drain_seconds),
        )
