"""Who runs one automation in one process answers what it asks of people, whoever the assignees are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from vai.access import Principal
from vai.api import present_decisions as shown
from vai.ports import DecisionRecord, Fault, StoredEvent
from vai.runs import AlreadyDecided, Answer, InvalidFields
from vai.wiring.system import System

Ask = Callable[[Mapping[str, Any], Sequence[Fault]], Awaitable[Answer | None]]
"""Given a decision as the API shows it, and what was wrong with the last answer: an answer, or None if nobody can give
one. Cancelled when the decision is not open any more."""

_CLOSING = ("step.decided", "step.cancelled")


class Asking:
    """Puts the decisions of one run to a person, one after the other. `unanswered`: the step that nobody can answer."""

    def __init__(self, system: System, who: Principal, run_id: str, ask: Ask | None, tasks: asyncio.TaskGroup) -> None:
        self._doors = system.doors
        self._who = who
        self._run_id = run_id
        self._ask = ask
        self._tasks = tasks
        self._open: dict[str | None, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self.unanswered: str | None = None

    def note(self, event: StoredEvent) -> None:
        """Take in the next event of the run."""
        if event.type == "step.awaiting_approval":
            decision_id = msgspec.json.decode(event.data)["decisionId"]
            self._open[event.step_key] = self._tasks.create_task(self._put(decision_id))
        elif event.type in _CLOSING and event.step_key in self._open:
            self._open.pop(event.step_key).cancel()

    def close(self) -> None:
        """Ask nothing more."""
        for task in self._open.values():
            task.cancel()

    async def _put(self, decision_id: str) -> None:
        asked = await self._doors.decisions.get(self._who, decision_id)
        if self._ask is None:
            if asked.expires_at is None:
                await self._give_up(asked)
            return
        async with self._turn:
            answer = await self._ask(shown.decision(asked), ())
            while answer is not None and (faults := await self._faults(asked, answer)):
                answer = await self._ask(shown.decision(asked), faults)
        if answer is None:
            await self._give_up(asked)

    async def _faults(self, asked: DecisionRecord, answer: Answer) -> Sequence[Fault]:
        """What is wrong with the answer; one that nothing is wrong with is taken."""
        name = asked.assignees[0] if asked.assignees else "local"
        speaker = msgspec.structs.replace(self._who, source_id="terminal", name=name)
        try:
            await self._doors.decisions.decide(speaker, asked.id, answer)
        except InvalidFields as error:
            return error.faults
        except AlreadyDecided:  # in the very moment it expired, or the run was cancelled
            pass
        return ()

    async def _give_up(self, asked: DecisionRecord) -> None:
        self.unanswered = f"Step {asked.step_key} asks: {asked.title}"
        await self._doors.runs.cancel(self._who, self._run_id)
