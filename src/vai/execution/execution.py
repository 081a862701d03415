"""One execution of a step: call its action within its limits and turn whatever becomes of it into a report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from uuid_utils import uuid7

from vai.domain import commands as c
from vai.domain.graph import StepSpec
from vai.domain.state import StepError
from vai.domain.status import OnTimeout
from vai.execution.context import StepContext
from vai.execution.results import result_of, sound
from vai.execution.storable import error_of, storable_error
from vai.ports import Action, ActionFailed, ActionStopped, Ask, Await, Branch, Call, Sleep
from vai.ports.current import current_run, current_step


class _Started(NamedTuple):
    """The run that the step waits for."""

    run_id: str


_LAST_SECONDS = 1.0  # between cancelling an action and going on without it


class Execution:
    """A step at work. It reports exactly once, unless it is abandoned because the run is not ours any more."""

    def __init__(
        self,
        action: Action | None,
        spec: StepSpec,
        definition: Any,
        context: StepContext,
        report: Callable[[c.Report], None],
    ) -> None:
        self._action = action
        self._spec = spec
        self._definition = definition
        self.context = context
        self._report = report
        self._timed_out = False
        self._limit: asyncio.TimerHandle | None = None
        self._kill: asyncio.TimerHandle | None = None
        self.abandoned = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        current_run.set(self.context.run_id)
        current_step.set(self._spec.key)
        if self._spec.timeout_seconds is not None:
            loop = asyncio.get_running_loop()
            self._limit = loop.call_later(self._spec.timeout_seconds, self._time_out)
        try:
            report = self._answer(await self._call())
        except BaseException as failure:
            report = self._failure(failure)
        for timer in (self._limit, self._kill):
            if timer is not None:
                timer.cancel()
        if not self.abandoned:
            self._report(report)

    async def _call(self) -> Any:
        if self._action is None:
            message = f"No action of kind {self._spec.kind!r} is known here; was the server started without --actions?"
            raise ActionFailed("unknown_kind", message)
        answer = await self._action.run(self._definition, self.context)
        return await self._start(answer) if isinstance(answer, Call) else answer

    async def _start(self, call: Call) -> _Started:
        if self.context.calls is None:
            raise ActionFailed("not_startable", "No run can be started from here.")
        return _Started(await self.context.calls.start(call, self.context.caller))

    def _answer(self, answer: Any) -> c.Report:
        key, number, attempt = self._of
        if isinstance(answer, Sleep):
            return c.Waits(key, number, answer.until, result_of(answer.result), attempt=attempt)
        if isinstance(answer, Await):
            return self._awaits(answer)
        if isinstance(answer, _Started):
            return c.AwaitsChild(key, number, answer.run_id, attempt=attempt)
        if isinstance(answer, Ask):
            return c.AwaitsDecision(key, number, str(uuid7()), sound(answer.question), attempt=attempt)
        if isinstance(answer, Branch):
            return c.Completed(key, number, result_of(answer.result), answer.skips, attempt=attempt)
        return c.Completed(key, number, result_of(answer), attempt=attempt)

    def _awaits(self, answer: Await) -> c.Report:
        key, number, attempt = self._of
        return c.AwaitsEvent(
            key,
            number,
            answer.event_type,
            answer.match,
            None if answer.names is None else dict(answer.names),
            answer.since,
            answer.until,
            OnTimeout.FAIL if answer.is_needed else OnTimeout.COMPLETE,
            attempt=attempt,
        )

    def _failure(self, failure: BaseException) -> c.Report:
        key, number, attempt = self._of
        if self._timed_out:
            message = f"The step took longer than its limit of {self._spec.timeout_seconds:g} s."
            return c.Failed(key, number, StepError("timeout", message, True), attempt=attempt)
        # However an action ends that was asked to stop, it has stopped.
        if self.context.cancelled or isinstance(failure, ActionStopped | asyncio.CancelledError):
            return c.Stopped(key, number, attempt=attempt)
        if isinstance(failure, ActionFailed):
            error = storable_error(failure.error)
            return c.Failed(key, number, error, failure.retry_after_seconds, attempt=attempt)
        return c.Failed(key, number, error_of(failure), attempt=attempt)

    @property
    def _of(self) -> tuple[str, int, int]:
        """What names this execution in its report: the step, the try, and the run's attempt."""
        return self._spec.key, self.context.try_number, self.context.attempt

    def _time_out(self) -> None:
        self._timed_out = True
        self.stop()

    def stop(self) -> None:
        """Ask the action to stop; when its grace is over it is cancelled, which kills child processes."""
        if self._kill is None and not self.task.done():
            self._kill = asyncio.get_running_loop().call_later(self._spec.grace_seconds, self._cancel)
            self.context.request_stop()

    def _cancel(self) -> None:
        self.task.cancel()
        self._kill = asyncio.get_running_loop().call_later(_LAST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """The action swallows even its cancellation: the run goes on without it, and what it does now is ignored."""
        self.abandoned = True
        self._report(self._failure(asyncio.CancelledError()))

    def abandon(self) -> None:
        """End at once and report nothing: the run is driven elsewhere, or handed back."""
        self.abandoned = True
        self.context.request_stop()
        self.task.cancel()
