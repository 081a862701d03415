"""Whether a step whose dependencies are all final is to run."""

from collections.abc import Sequence

from vai.domain.state import StepState
from vai.domain.status import RunWhen, SkipReason, StepStatus


def why_skip(run_when: RunWhen, upstream: Sequence[StepState]) -> SkipReason | None:
    """The reason to skip the step, or None to run it.

    A step skipped because of a failure counts as failed here, one skipped by a condition does not.
    """
    if not upstream or run_when is RunWhen.ALL_DONE:
        return None
    completed = failed = 0
    for step in upstream:
        if step.status is StepStatus.COMPLETED:
            completed += 1
        elif _counts_as_failed(step):
            failed += 1
    if run_when is RunWhen.ANY_FAILED:
        return None if failed else SkipReason.RUN_WHEN
    if run_when is RunWhen.ANY_SUCCEEDED:
        met = completed > 0
    elif run_when is RunWhen.NONE_FAILED:
        met = failed == 0
    else:
        met = completed == len(upstream)
    if met:
        return None
    return SkipReason.UPSTREAM_FAILED if failed else SkipReason.UPSTREAM_SKIPPED


def _counts_as_failed(step: StepState) -> bool:
    if step.status is StepStatus.SKIPPED:
        return step.skip_reason is SkipReason.UPSTREAM_FAILED
    return step.status in (StepStatus.FAILED, StepStatus.CANCELLED)
