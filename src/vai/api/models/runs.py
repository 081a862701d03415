"""Runs, their steps and their events."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from vai.api.models.common import Answer, Name, OrchestratorType, Request, TriggerSourceType, TriggerType, VersionNumber
from vai.domain.retry import PlannedAction
from vai.domain.status import RetryMode, RunStatus


class Run(Answer):
    """An automation run."""

    automation_id: str
    automation_version_id: str
    completed_at: AwareDatetime | None
    concurrency_key: str | None
    created_at: AwareDatetime
    duration_seconds: float | None = Field(description="`completedAt` minus `startedAt`.")
    error: dict[str, Any] | None = Field(description="`{type, message, failedSteps}` of a failed run.")
    external_job_id: str | None
    id: str
    orchestrator_type: OrchestratorType
    started_at: AwareDatetime | None
    status: RunStatus
    tenant_id: str
    trigger_source_id: str | None
    trigger_source_type: TriggerSourceType
    trigger_type: TriggerType
    updated_at: AwareDatetime
    version_number: int
    attempt: int = Field(description="1, and one more with each retry.")
    cancel_requested_at: AwareDatetime | None
    parent_run_id: str | None = Field(description="The run whose step started this one and waits for it.")
    parent_step_key: str | None


class RunList(Answer):
    """Some of the runs, newest first, and how many there are in all."""

    items: list[Run]
    total: int


class PruneRequest(Request):
    """Which final runs are removed."""

    older_than_seconds: float = Field(
        strict=True, ge=0, le=3_153_600_000, description="Those that ended longer ago than this."
    )
    status: list[Literal["completed", "failed", "cancelled"]] = Field([], max_length=3, description="Default: all.")
    dry_run: bool = Field(False, strict=True, description="Only count them.")


class Pruned(Answer):
    """How many runs were removed, or would be."""

    runs: int
    has_more: bool = Field(description="Others are left: ask again.")
    dry_run: bool


class Step(Answer):
    """A step of a run, as it stands or as an earlier attempt left it."""

    action_run_id: str | None
    completed_at: AwareDatetime | None
    decision_id: str | None
    depends_on: list[str]
    kind: str
    progress: Any
    duration_seconds: float | None
    error: dict[str, Any] | None = Field(description="`{type, message, retryable, details}` of a failed step.")
    key: str
    name: str
    result: dict[str, Any] | None = Field(description="What is not an object is answered as `{value: …}`.")
    result_truncated: bool = Field(description="True: `result` is a preview, the artifact has it whole.")
    started_at: AwareDatetime | None
    status: str
    artifact_id: str | None
    attempt: int = Field(description="The attempt of the run that this state comes from.")
    tries: int = Field(description="Executions begun in that attempt.")
    interrupt_count: int
    next_attempt_at: AwareDatetime | None
    wait_until: AwareDatetime | None
    awaited_event_type: str | None = Field(description="Of a step that waits for an event.")
    skip_reason: str | None
    child_run_id: str | None
    parent_key: str | None = Field(description="Of an element of forEach: the step that runs over it.")
    index: int | None = Field(description="Of an element of forEach: its place.")
    element_count: int | None = Field(description="Of a forEach step that has begun.")


class RunSteps(Answer):
    """All steps of a run; the seven counts sum to their number."""

    automation_run_id: str
    completed_count: int
    failed_count: int
    pending_count: int
    running_count: int
    skipped_count: int
    cancelled_count: int
    awaiting_approval_count: int
    steps: list[Step]


class RetryRequest(Request):
    """How much of a final run runs again."""

    mode: RetryMode = RetryMode.FROM_FAILED
    step_key: str | None = Field(default=None, description="With mode `from_step`: the step to start from.")


class PlannedStep(Answer):
    """What a retry would do to a step, and why."""

    key: str
    action: PlannedAction
    reason: str
    from_attempt: int | None = Field(description="Where a reused result comes from.")


class Reason(Answer):
    """What a run, or a step of it, waits for, or that it is at work."""

    step_key: str | None = Field(description="null: it is about the run as a whole.")
    reason: str
    since: AwareDatetime | None
    until: AwareDatetime | None
    advice: str | None


class Explanation(Answer):
    """Why a run stands where it stands: the reasons of the run first, then those of its steps."""

    run_id: str
    status: RunStatus
    is_at_work: bool = Field(description="An action of it is executed just now.")
    reasons: list[Reason]


class RetryPlan(Answer):
    """What a retry would do."""

    run_id: str
    mode: RetryMode
    attempt: int = Field(description="The number that the next attempt would have.")
    steps: list[PlannedStep]
    counts: dict[str, int]


class StartRunRequest(Request):
    """What a run is started with."""

    input: Any = Field(default=None, description="Checked against the automation's `inputs`.")
    concurrency_key: Name | None = None
    version_number: VersionNumber | None = Field(default=None, description="Default: the active version.")


class RunEvent(Answer):
    """An event of a run; `seq` counts 1, 2, 3, … without gaps."""

    seq: int
    type: str
    run_id: str
    attempt: int
    step_key: str | None
    occurred_at: AwareDatetime
    data: dict[str, Any]


class RunEventPage(Answer):
    """Some stored events in order; `nextAfter` asks for the next ones, null when there are none yet."""

    items: list[RunEvent]
    next_after: int | None
