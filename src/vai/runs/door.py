"""The one door: load a run, let the state machine decide, commit what follows if nobody was faster."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vai.domain.commands import Command
from vai.domain.decide import Transition, transition
from vai.domain.graph import Graph
from vai.domain.state import RunContext, RunState, StepState, initial_state, restore_state
from vai.ports import Clock, Landed, LoadedRun, NewRun, RunRecord, RunStore
from vai.runs.attachments import Attachments
from vai.runs.calls import Calls
from vai.runs.changes import Hold, change_of
from vai.runs.definitions import Definitions
from vai.runs.errors import NotFound

_ATTEMPTS = 50  # against others' commits; each failed attempt means that somebody else's landed


class Loaded(msgspec.Struct, frozen=True):
    """A run's state with what guards its next change."""

    state: RunState
    record: RunRecord
    version: int
    lease_owner: str | None


class Contended(Exception):
    """The run changed again and again while this command was decided; nothing was done."""


class Door:
    """Changes runs. Stateless: any number of processes may have one."""

    def __init__(self, store: RunStore, definitions: Definitions, clock: Clock) -> None:
        self._store = store
        self._definitions = definitions
        self._clock = clock
        self._fresh: dict[str, Loaded] = {}
        self.calls: Calls | None = None  # who starts the runs that steps ask for; set by `Runs`
        self.attachments: Attachments | None = None  # who keeps the files that steps attach

    @contextlib.contextmanager
    def handing_over(self, new: NewRun, graph: Graph) -> Iterator[None]:
        """While the run is being accepted: who loads it first gets the state it begins with, without a read.

        Should somebody else have changed the run by then, the version guard refuses what is decided on that state.
        """
        run = new.record
        state = initial_state(run.id, graph, _context_of_new(new))
        self._fresh[run.id] = Loaded(state, run, run.version, new.lease_owner)
        try:
            yield
        finally:
            # The engine is told of the run, and has taken it, before the one who accepted it goes on.
            asyncio.get_running_loop().call_soon(self._fresh.pop, run.id, None)

    def is_handing_over(self, run_id: str) -> bool:
        """True while a run of this id is being accepted for the engine of this process."""
        return run_id in self._fresh

    async def load(self, run_id: str) -> Loaded:
        """The run as it was last committed. Raises NotFound."""
        fresh = self._fresh.pop(run_id, None)
        if fresh is not None:
            return fresh
        stored = await self._store.load(run_id)
        if stored is None:
            raise NotFound(f"There is no run {run_id}.")
        await self._definitions.prepare(stored.run.automation_version_id, stored.config)
        graph = self._definitions.graph(stored.run.automation_version_id, stored.config)
        return Loaded(state_of(stored, graph), stored.run, stored.run.version, stored.lease_owner)

    async def apply(self, run_id: str, command: Command) -> Transition:
        """Decide and commit a command of a person. Raises NotFound, Contended, or a Refusal of the state machine."""
        for _ in range(_ATTEMPTS):
            loaded = await self.load(run_id)
            now = self._clock()
            decided = transition(loaded.state, command, now)
            if not decided.events:
                return decided
            # Whatever is final gives its lease back.
            hold = Hold(None, loaded.version, decided.state.status.is_final)
            change = change_of(decided, (), hold, now)
            if isinstance(await self._store.commit(change), Landed):
                return decided
        raise Contended("The run is changing too quickly; try again.")


def _context_of_new(new: NewRun) -> RunContext:
    created = new.events[0]
    traceparent, trigger = getattr(created, "traceparent", None), getattr(created, "trigger", None)
    return context_of(new.record, new.input, new.payload, traceparent or None, trigger or {})


def context_of(
    run: RunRecord, run_input: Any, payload: Any, traceparent: str | None, told: Mapping[str, Any]
) -> RunContext:
    """What expressions may see of what the run was started with. `told`: what its trigger told."""
    trigger = {
        **told,
        "type": run.trigger_type,
        "sourceType": run.trigger_source_type,
        "sourceId": run.trigger_source_id,
    }
    return RunContext(
        *(run.tenant_id, run.automation_id, run.created_at, run_input, payload, trigger, traceparent),
        *(run.concurrency_key, run.parent_run_id is not None),
    )


def with_rows(graph: Graph, rows: Sequence[StepState]) -> tuple[Graph, dict[str, StepState]]:
    """The run's own graph and all of its steps: those without a row have not begun, and the elements of forEach
    are those found last."""
    known = {step.key: step for step in rows}
    steps = {key: known.get(key) or StepState(key) for key in graph.steps}
    for key, step in list(steps.items()):
        if step.fan is None:
            continue
        graph = graph.expanded(key, len(step.fan.elements))
        for element in graph.elements[key]:
            row = known.get(element)
            is_of_these = row is not None and row.attempt >= step.fan.attempt
            steps[element] = row if row and is_of_these else StepState(element, attempt=step.fan.attempt)
    return graph, steps


def state_of(stored: LoadedRun, graph: Graph) -> RunState:
    """The state machine's value of a stored run: steps without a row have not begun."""
    run = stored.run
    context = context_of(run, stored.input, stored.payload, stored.traceparent, stored.trigger)
    graph, steps = with_rows(graph, [row.state for row in stored.steps])
    return restore_state(
        RunState(
            run.id,
            graph,
            context,
            steps,
            status=run.status,
            attempt=run.attempt,
            started_at=run.started_at,
            completed_at=run.completed_at,
            attempt_started_at=stored.attempt_started_at,
            cancel_requested_at=run.cancel_requested_at,
            stopping=stored.stopping,
            error=run.error,
        )
    )
