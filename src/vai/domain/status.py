"""The statuses of runs and steps, in the API's own words."""

from enum import StrEnum
from functools import cached_property


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @cached_property
    def is_final(self) -> bool:
        """True when only a retry can move the run again."""
        return self in FINAL_RUN_STATUSES


class StepStatus(StrEnum):
    """Where a step of a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @cached_property
    def is_final(self) -> bool:
        """True when only a retry can move the step again."""
        return self in FINAL_STEP_STATUSES


FINAL_RUN_STATUSES = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
FINAL_STEP_STATUSES = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED})


class SkipReason(StrEnum):
    """Why a step was skipped."""

    UPSTREAM_FAILED = "upstream_failed"  # something it needs failed, or was skipped for that reason
    UPSTREAM_SKIPPED = "upstream_skipped"  # something it needs was skipped by a condition
    CONDITION = "condition"  # its `if` was false
    BRANCH_NOT_TAKEN = "branch_not_taken"  # a conditional_branch chose another way
    RUN_WHEN = "run_when"  # its `runWhen` was not met


class RunWhen(StrEnum):
    """What a step asks of the steps that it depends on, once all of those are final."""

    ALL_SUCCEEDED = "all_succeeded"
    NONE_FAILED = "none_failed"
    ALL_DONE = "all_done"
    ANY_FAILED = "any_failed"
    ANY_SUCCEEDED = "any_succeeded"


class OnInterrupt(StrEnum):
    """What happens to a step whose engine died, or was stopped, in the middle of it."""

    RETRY = "retry"
    FAIL = "fail"
    ASK = "ask"  # a person says whether it had happened: then it is completed, else it runs again


class OnTimeout(StrEnum):
    """What it means for a step that the event it waits for does not come in time."""

    FAIL = "fail"
    COMPLETE = "complete"


class DecisionKind(StrEnum):
    """What a decision is about."""

    APPROVAL = "approval"  # whether the run goes on
    INTERRUPT = "interrupt"  # whether an interrupted step had happened


class DecisionStatus(StrEnum):
    """Where a decision stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class OnExpire(StrEnum):
    """What it means for a step that nobody has decided in time."""

    APPROVE = "approve"
    REJECT = "reject"
    FAIL = "fail"


class RetryMode(StrEnum):
    """How much of a final run a retry runs again."""

    FROM_FAILED = "from_failed"
    FROM_STEP = "from_step"
    FULL = "full"
