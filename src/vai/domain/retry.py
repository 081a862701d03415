"""What a retry would do to each step: computed once, shown by the retry plan and carried out by the retry."""

from enum import StrEnum

import msgspec

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


def rerun_keys(plan: tuple[PlannedStep, ...]) -> tuple[str, ...]:
    """The steps that are pending again."""
    return tuple(step.key for step in plan if step.action is PlannedAction.RERUN)


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
        if step.status is not StepStatus.COMPLETED and not _was_skipped_by_choice(step)
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
        stands = {key for key, by in skipped_by.items() if by not in rerun}
        if stands == barred:
            return rerun
        barred = stands  # fewer steps run again, so that more choices may stand


def _was_skipped_by_choice(step: StepState) -> bool:
    """A condition or a branch is an answer like any other: it stands while what it rests on stands."""
    return step.status is StepStatus.SKIPPED and step.skip_reason is not SkipReason.UPSTREAM_FAILED


def _plan(state: RunState, key: str, rerun: set[str], seeds: dict[str, str]) -> PlannedStep:
    step = state.steps[key]
    if key in rerun:
        upstream = next((up for up in state.graph.steps[key].depends_on if up in rerun), None)
        return PlannedStep(key, PlannedAction.RERUN, seeds.get(key) or f"it needs {upstream}, which runs again")
    if step.status is StepStatus.SKIPPED:
        reason = f"it was skipped ({step.skip_reason}), and nothing that decides this runs again"
        return PlannedStep(key, PlannedAction.SKIP, reason)
    reason = f"it completed in attempt {step.attempt}, and nothing it needs runs again"
    return PlannedStep(key, PlannedAction.REUSE, reason, step.attempt)
