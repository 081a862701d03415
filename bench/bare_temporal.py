"""A diamond on Temporal without vai: the least that a run on Temporal can cost. Also the process that works for it."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import PollerBehaviorAutoscaling, Worker

_ONCE = RetryPolicy(maximum_attempts=1)
_AT_ONCE = 200  # steps at work, as in a worker of vai


@activity.defn
async def noop(key: str) -> str:
    """A step that does nothing."""
    return key


@workflow.defn
class Diamond:
    """One step, then `width` in parallel, then one."""

    @workflow.run
    async def run(self, width: int) -> None:
        """Do them all."""
        await self._step("first")
        await asyncio.gather(*(self._step(f"m{n}") for n in range(width)))
        await self._step("last")

    async def _step(self, key: str) -> None:
        await workflow.execute_activity(
            noop,
            key,
            start_to_close_timeout=timedelta(days=1),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=_ONCE,
        )


async def work(address: str, queue: str) -> None:
    """Work until the process is ended, with the settings of a worker of vai."""
    pollers = PollerBehaviorAutoscaling(minimum=2, maximum=50, initial=5)
    worker = Worker(
        await Client.connect(address),
        task_queue=queue,
        workflows=[Diamond],
        activities=[noop],
        max_concurrent_activities=_AT_ONCE,
        activity_task_poller_behavior=pollers,
        workflow_task_poller_behavior=pollers,
    )
    await worker.run()


async def diamonds(client: Client, queue: str, runs: int, width: int) -> None:
    """Start so many, and wait for all of them."""

    async def one(number: int) -> None:
        name = f"{queue}-{os.urandom(8).hex()}-{number}"
        await client.execute_workflow(Diamond.run, width, id=name, task_queue=queue)

    await asyncio.gather(*map(one, range(runs)))


if __name__ == "__main__":
    uvloop.run(work(*sys.argv[1:]))
