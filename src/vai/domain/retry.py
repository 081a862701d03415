"""What a retry would do to each step: computed once, shown by the retry plan and carried out by the retry."""

from collections.abc import Container
from enum import StrEnum

import msgspec

from vai.domain.graph import Graph
from vai.domain.refusals import NotFinal, NothingToRetry, StepKeyNotAllowed, UnknownStep
from vai.domain.state import RunState, StepState
from vai.domain.status import RetryMode, RunStatus, SkipReason, StepStatus


class PlannedAction(StrEnum):
    """What becomes of a step in the next attempt."""

    RERUN = "rerun"
    REUSE = "reuse"
    SKIP = "skip"


class PlannedStep(msgspec.Struct, frozen=True):
    """What becomes of one step, and why. `from_attempt`: where a reused result comes from."""

    key: str
    action: PlannedAction
    reason: str
    from_attempt: int | None = None


def plan_retry(state: RunState, mode: RetryMode, step_key: str | None) -> tuple[PlannedStep, ...]:
    """What a retry would do, in the order of the definition.

    Raises NotFinal, NothingToRetry, UnknownStep or StepKeyNotAllowed, as the retry itself would.
    """
    _check(state, mode, step_key)
    seeds = _seeds(state, mode, step_key)
    rerun = _rerun(state, seeds)
    return tuple(_plan(state, key, rerun, seeds) for key in state.graph.steps)


def rerun_keys(plan: tuple[PlannedStep, ...], graph: Graph) -> tuple[str, ...]:
    """The steps that are pending again. Elements of forEach are among them only where others of theirs are reused:
    else they are found anew."""
    rerun = {step.key for step in plan if step.action is PlannedAction.RERUN}
    for elements in graph.elements.values():
        if rerun.issuperset(elements):
            rerun.difference_update(elements)
    return tuple(step.key for step in plan if step.key in rerun)


def _check(state: RunState, mode: RetryMode, step_key: str | None) -> None:
    if mode is RetryMode.FROM_STEP:
        if step_key is None:
            raise UnknownStep("stepKey is required with mode from_step.")
        if step_key not in state.graph.steps:
            known = ", ".join(list(state.graph.steps)[:20])
            raise UnknownStep(f"The run has no step {step_key!r}. Its steps: {known}.")
    elif step_key is not None:
        raise StepKeyNotAllowed
    if not state.status.is_final:
        raise NotFinal(f"The run is {state.status.value}. {NotFinal()}")
    if mode is RetryMode.FROM_FAILED and state.status is RunStatus.COMPLETED:
        raise NothingToRetry


def _seeds(state: RunState, mode: RetryMode, step_key: str | None) -> dict[str, str]:
    """The steps that a retry names by themselves, each with its reason."""
    if mode is RetryMode.FULL:
        return dict.fromkeys(state.graph.steps, "mode full runs every step again")
    seeds = {
        step.key: f"it did not complete ({step.status.value})"
        for step in state.steps.values()
        if step.status is not StepStatus.COMPLETED
        and not _was_skipped_by_choice(step)
        and not _ended_by_its_elements(state, step)
    }
    if step_key is not None:
        seeds[step_key] = "the retry starts from this step"
    return seeds


def _rerun(state: RunState, seeds: dict[str, str]) -> set[str]:
    """The seeds and all that hangs on them, but for branches not taken whose choice stands: those bar the way."""
    skipped_by = {step.key: step.skipped_by for step in state.steps.values() if step.skipped_by is not None}
    barred: set[str] = set()
    while True:
        rerun = state.graph.downstream(seeds, barred)
        rerun.update(*(state.graph.elements[key] for key in state.graph.elements if _is_anew(state, key, rerun, seeds)))
        stands = {key for key, by in skipped_by.items() if by not in rerun}
        if stands == barred:
            return rerun
        barred = stands  # fewer steps run again, so that more choices may stand


def _why_again(state: RunState, key: str, rerun: Container[str], seeds: Container[str]) -> str:
    spec = state.graph.steps[key]
    if spec.parent is not None:
        return f"{spec.parent} runs again, over elements that it finds anew"
    upstream = next((up for up in spec.depends_on if up in rerun), None)
    if upstream is not None:
        return f"it needs {upstream}, which runs again"
    element = next(element for element in state.graph.elements[key] if element in seeds)
    return f"its element {element} runs again"


def _ended_by_its_elements(state: RunState, step: StepState) -> bool:
    """A forEach step runs again because of the elements that do, and keeps the others."""
    elements = state.graph.elements.get(step.key, ())
    return any(state.steps[element].status is not StepStatus.COMPLETED for element in elements)


def _is_anew(state: RunState, key: str, rerun: Container[str], seeds: Container[str]) -> bool:
    """True when a forEach step finds its elements anew: it runs again for another reason than them."""
    return key in rerun and (key in seeds or any(up in rerun for up in state.graph.steps[key].depends_on))


def _was_skipped_by_choice(step: StepState) -> bool:
    """A condition or a branch is an answer like any other: it stands while what it rests on stands."""
    return step.status is StepStatus.SKIPPED and step.skip_reason is not SkipReason.UPSTREAM_FAILED


def _plan(state: RunState, key: str, rerun: set[str], seeds: dict[str, str]) -> PlannedStep:
    step = state.steps[key]
    if key in rerun:
        return PlannedStep(key, PlannedAction.RERUN, seeds.get(key) or _why_again(state, key, rerun, seeds))
    if step.status is StepStatus.SKIPPED:
        reason = f"it was skipped ({step.skip_reason}), and nothing that decides this runs again"
        return PlannedStep(key, PlannedAction.SKIP, reason)
    reason = f"it completed in attempt {step.attempt}, and nothing it needs runs again"
    return PlannedStep(key, PlannedAction.REUSE, reason, step.attempt)
