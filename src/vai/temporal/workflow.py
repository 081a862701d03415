"""The workflow that drives a run: it decides nothing, but carries reports to `advance` and starts what that answers.

Deterministic: all that it knows comes from its history.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, CancelledError

with workflow.unsafe.imports_passed_through():
    from vai.domain import commands as c
    from vai.temporal.messages import (
        ADVANCE,
        PASSED_ON,
        STEP,
        WAKE,
        WORKFLOW,
        Answer,
        Begin,
        Order,
        Ref,
        Round,
        StepOrder,
        Told,
        queue_of,
    )
    from vai.temporal.messages import told as message_of

FEW_RUNNING, MAX_RUNNING = 50, 500
"""How many steps of one run are at work, or wait for a worker, at once: few to begin with, and more by and by while
they take long. The server refuses an answer of the workflow in whose making more than a hundred events came in, two
a step; it allows 2,000 steps, and the history must hold all their results."""

_GROW_SECONDS = 1.0

DRAINS_FROM = 3_000
"""From this length of the history on it tries to continue as new, waiting for what is at work for `DRAIN_SECONDS`."""

DRAIN_SECONDS = 10.0

MAX_HISTORY_BYTES = 14_000_000
"""Like `drain_events`, for the size: with `MAX_RUNNING` results of 64 KiB to come it stays below the limit of 50 MB."""

_ADVANCE_SECONDS = 60
_LONGEST = timedelta(days=3660)  # what limits a step is its own timeoutSeconds
_ADVANCE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=0.2), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
)
_ONCE = RetryPolicy(maximum_attempts=1)


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """One run, from its start, or from a retry of it, to its end."""

    def __init__(self) -> None:
        self._told: list[Told] = []
        self._running: dict[Ref, workflow.ActivityHandle[Any]] = {}
        self._elsewhere: set[tuple[str | None, str]] = set()  # label and kind of steps that were passed on
        self._stops = False
        self._woken = False
        self._room = FEW_RUNNING
        self._reports = 0  # since it was last seen whether there should be more room
        self._measures = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: int | None = None
        self._drains_from = DRAINS_FROM
        self._drains_until: float | None = None

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Somebody else changed the run: look at it."""
        self._woken = True

    @workflow.run
    async def run(self, order: Order) -> None:
        """Drive the run until it is over, or continue as new where the history has grown long."""
        self._order = order
        if not order.goes_on:
            # By itself, because this round may be repeated when its answer is lost: it starts nothing.
            await self._advance(takes_over=True)
        while True:
            self._woken = False
            answer = await self._advance()
            if answer.over and not self._woken:
                return
            self._act(answer)
            if self._may_continue_as_new():
                workflow.continue_as_new(_going_on(order))
            await workflow.wait_condition(lambda: bool(self._told) or self._woken)

    async def _advance(self, *, takes_over: bool = False) -> Answer:
        told, self._told = self._told, []
        room = 0 if self._drains() else max(0, self._room - len(self._running))
        asked = Round(self._order.run_id, self._order.tenant_id, told, list(self._running), room, takes_over)
        answer: Answer = await workflow.execute_local_activity(
            ADVANCE,
            asked,
            result_type=Answer,
            start_to_close_timeout=timedelta(seconds=_ADVANCE_SECONDS),
            retry_policy=_ADVANCE_RETRY,
        )
        return answer

    def _act(self, answer: Answer) -> None:
        for begin in answer.begin:
            self._execute(begin)
        self._stops = answer.stop or answer.over
        if self._stops:
            for handle in self._running.values():
                handle.cancel()
        if answer.is_part and not self._measures:
            self._measures, self._reports = True, 0
            asyncio.get_running_loop().call_later(_GROW_SECONDS, self._make_room)
        self._set_alarm(answer.due_at, answer.due_in_ms)

    def _make_room(self) -> None:
        """While fewer than half report in a second, more than are at work at once do no harm."""
        self._measures = False
        if self._reports < self._room / 2:
            self._room = min(MAX_RUNNING, self._room + FEW_RUNNING)
            self._woken = True

    def _execute(self, begin: Begin) -> None:
        order = self._order
        kind = begin.kind if (begin.label, begin.kind) in self._elsewhere else None
        handle = workflow.start_activity(
            STEP,
            StepOrder(order.run_id, order.tenant_id, order.automation_id, order.heartbeat_seconds, begin),
            result_type=Told,
            task_queue=queue_of(workflow.info().task_queue, begin.label, kind),
            start_to_close_timeout=_LONGEST,
            heartbeat_timeout=timedelta(seconds=order.heartbeat_seconds),
            retry_policy=_ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=begin.ref.key,
        )
        self._running[begin.ref] = handle
        handle.add_done_callback(lambda ended: self._ended(begin, ended))

    def _ended(self, begin: Begin, handle: asyncio.Task[Any]) -> None:
        ref = begin.ref
        del self._running[ref]
        told = _report_of(ref, handle)
        if told.type == PASSED_ON.type:
            if not self._stops:
                self._elsewhere.add((begin.label, begin.kind))
                self._execute(begin)
                return
            told = message_of(c.Stopped(ref.key, ref.try_number, attempt=ref.attempt))
        self._reports += 1
        self._told.append(told)

    def _set_alarm(self, due_at: int | None, due_in_ms: int) -> None:
        if due_at == self._alarm_at:
            return  # a timer costs events
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, due_at
        if due_at is not None:
            self._alarm = asyncio.get_running_loop().call_later(max(due_in_ms, 1) / 1000, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        self._woken = True

    def _drains(self) -> bool:
        """True while nothing more is to begin, so that the workflow can continue as new when all at work has ended.

        A long history is slow to replay. At first it waits only for so long: steps that take hours shall not hold
        up the others, until there is no other way.
        """
        info = workflow.info()
        length = info.get_current_history_length()
        if length >= self._order.drain_events or info.get_current_history_size() >= MAX_HISTORY_BYTES:
            return True
        if length < self._drains_from:
            return False
        if self._drains_until is None:
            self._drains_until = workflow.time() + DRAIN_SECONDS
            asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.wake)
        if workflow.time() < self._drains_until:
            return True
        self._drains_from, self._drains_until = 2 * length, None
        return False

    def _may_continue_as_new(self) -> bool:
        if self._running or self._told or self._woken:
            return False
        return workflow.info().is_continue_as_new_suggested() or self._drains()


def _going_on(order: Order) -> Order:
    return Order(
        order.run_id, order.tenant_id, order.automation_id, order.heartbeat_seconds, order.drain_events, goes_on=True
    )


def _report_of(ref: Ref, handle: asyncio.Task[Any]) -> Told:
    try:
        told: Told = handle.result()
        return told
    except (ActivityError, asyncio.CancelledError) as failure:
        if isinstance(failure, asyncio.CancelledError) or isinstance(failure.cause, CancelledError):
            # It was asked to stop before a worker had begun it.
            return message_of(c.Stopped(ref.key, ref.try_number, attempt=ref.attempt))
        return message_of(c.Interrupted(ref.key, ref.try_number, attempt=ref.attempt))
