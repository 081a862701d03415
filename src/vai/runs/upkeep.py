"""What one run's end or beginning asks of others. Any process may look, as often as it likes."""

from contextlib import suppress
from typing import Any

from vai.domain.commands import Cancel, FinishChild
from vai.domain.gathering import sized
from vai.domain.state import Result, RunState, StepError
from vai.domain.status import RunStatus, StepStatus
from vai.ports import EndedChild, Store
from vai.runs.deliveries import Deliveries
from vai.runs.door import Door
from vai.runs.errors import NotFound


class Upkeep:
    """Tells parents of their children's ends, cancels what nobody waits for or what is to be replaced, and brings
    events to those that wait for them."""

    def __init__(self, store: Store, door: Door) -> None:
        self._store = store
        self._door = door
        self._deliveries = Deliveries(store, door)

    async def look(self) -> None:
        """Do all that is to be done now. Raises StoreUnavailable."""
        for child in await self._store.ended_children():
            await self._tell(child)
        for run_id in await self._store.orphans():
            await self._cancel(run_id, "parent")
        for run_id in await self._store.giving_way():
            await self._cancel(run_id, "concurrency")
        await self._deliveries.look()

    async def _cancel(self, run_id: str, by: str) -> None:
        with suppress(NotFound):
            await self._door.apply(run_id, Cancel(by=by))

    async def _tell(self, child: EndedChild) -> None:
        with suppress(NotFound):
            if child.is_awaited:
                state = (await self._door.load(child.run_id)).state
                command = FinishChild(child.parent_step_key, child.run_id, outcome_of(state), error_of(state))
                await self._door.apply(child.parent_run_id, command)
        await self._store.forget_child(child.run_id)


def outcome_of(state: RunState) -> Result:
    """What a run answers to the step that started it: the results of the steps that no other step needs."""
    last = [key for key, spec in state.graph.steps.items() if spec.parent is None and not state.graph.dependents[key]]
    outputs: dict[str, Any] = {key: _value(state, key) for key in last}
    value = {"runId": state.id, "status": state.status.value, "outputs": outputs}
    return sized(value, f"{state.id}:{state.attempt}:outcome", state.completed_at or 0)


def _value(state: RunState, key: str) -> Any:
    step = state.steps[key]
    return step.result.value if step.result is not None and step.status is StepStatus.COMPLETED else None


def error_of(state: RunState) -> StepError | None:
    """Why the step fails; None when its child completed."""
    if state.status is RunStatus.COMPLETED:
        return None
    if state.status is RunStatus.CANCELLED:
        return StepError("child_cancelled", f"The run {state.id} was cancelled.", False, {"runId": state.id})
    reason = state.error.message if state.error else "no reason was given"
    details = {"runId": state.id, "error": None if state.error is None else state.error.message}
    return StepError("child_failed", f"The run {state.id} failed: {reason}", False, details)
