"""`vai run`: one run of one automation in one process, without a server, on the same code."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vai.access import Principal
from vai.api import wire
from vai.api.present import encode
from vai.automations import AutomationPatch, Automations, NewAutomation
from vai.domain.status import RunStatus
from vai.runs import StartRun
from vai.settings import Settings
from vai.wiring.asking import Ask, Asking
from vai.wiring.loop import run
from vai.wiring.system import System, running


@dataclass(frozen=True)
class RunOutcome:
    """How a run in one process ended. `unanswered`: what it was cancelled for, because nobody could be asked."""

    run_id: str
    status: RunStatus
    error: Mapping[str, Any] | None
    unanswered: str | None


@dataclass(frozen=True)
class Attendant:
    """Who watches a run in one process: told of each event as the stream would give it, and asked what it asks."""

    on_event: Callable[[dict[str, Any]], None]
    ask: Ask | None  # None: nobody can be asked


def run_once(settings: Settings, name: str, config: Any, run_input: Any, attendant: Attendant) -> RunOutcome:
    """Run an automation in this process without a server, on the same code.

    Ctrl-C cancels the run. Raises CannotServe, InvalidDefinition, InvalidInput.
    """
    return run(_run_once(replace(settings, engine=True, dag_engine="embedded"), name, config, run_input, attendant))


async def _run_once(settings: Settings, name: str, config: Any, run_input: Any, attendant: Attendant) -> RunOutcome:
    async with running(settings, schedules=False) as system:
        who = Principal(system.tenant_id, "user", "local", "admin")
        doors = system.doors
        found = await doors.automations.by_name(who, name)
        if found is None:
            view = await doors.automations.create(who, NewAutomation(name, config, orchestrator_type="local"))
            number = 1
        else:
            view = found
            number = await _draft_with(doors.automations, who, view.record.id, config)
        await doors.automations.publish(who, view.record.id, number)
        created = await doors.runs.start(who, StartRun(view.record.id, input=run_input))
        return await _follow(system, who, created.run.id, attendant)


async def _draft_with(automations: Automations, who: Principal, automation_id: str, config: Any) -> int:
    await automations.update(who, automation_id, AutomationPatch(config=config))
    return (await automations.versions(who, automation_id))[0].number


async def _follow(system: System, who: Principal, run_id: str, attendant: Attendant) -> RunOutcome:
    runs = system.doors.runs
    loop = asyncio.get_running_loop()
    cancels: list[asyncio.Task[Any]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: cancels.append(loop.create_task(runs.cancel(who, run_id))))
    async with asyncio.TaskGroup() as tasks:
        asking = Asking(system, who, run_id, attendant.ask, tasks)
        async for batch in await runs.follow(who, run_id, 0):
            for event in batch.events:
                attendant.on_event(json.loads(encode(wire.event(event))))
                asking.note(event)
        asking.close()
    run = await runs.get(who, run_id)
    error = None if run.error is None else {"type": run.error.type, "message": run.error.message}
    return RunOutcome(run_id, run.status, error, asking.unanswered)
