"""What the OpenAPI document says of answers and request bodies; request bodies are also checked by these."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from vai.domain.retry import PlannedAction
from vai.domain.status import RetryMode, RunStatus, StepStatus

OrchestratorType = Literal["local", "dag"]
TriggerType = Literal["manual", "schedule", "webhook", "event"]
TriggerSourceType = Literal["user", "api_key", "schedule", "webhook", "event", "automation"]
VersionStatus = Literal["draft", "active", "archived"]

# PostgreSQL's text cannot hold NUL.
_NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=100_000, pattern=_NO_NUL)]
VersionNumber = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


class _Answer(BaseModel):
    """Every field is always there."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, populate_by_name=True)


class _Request(BaseModel):
    """A field that is not known is a mistake, and told."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


# --- errors ------------------------------------------------------------------------------------------------


class ValidationErrorItem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationErrorBody(BaseModel):
    """What every 422 answers."""

    detail: list[ValidationErrorItem]


class ProblemBody(BaseModel):
    """What every other error answers (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


# --- runs --------------------------------------------------------------------------------------------------


class Run(_Answer):
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


class RunList(_Answer):
    """Some of the runs, newest first, and how many there are in all."""

    items: list[Run]
    total: int


class Step(_Answer):
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
    skip_reason: str | None
    child_run_id: str | None


class RunSteps(_Answer):
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


class RetryRequest(_Request):
    """How much of a final run runs again."""

    mode: RetryMode = RetryMode.FROM_FAILED
    step_key: str | None = Field(default=None, description="With mode `from_step`: the step to start from.")


class PlannedStep(_Answer):
    """What a retry would do to a step, and why."""

    key: str
    action: PlannedAction
    reason: str
    from_attempt: int | None = Field(description="Where a reused result comes from.")


class RetryPlan(_Answer):
    """What a retry would do."""

    run_id: str
    mode: RetryMode
    attempt: int = Field(description="The number that the next attempt would have.")
    steps: list[PlannedStep]
    counts: dict[str, int]


class StartRunRequest(_Request):
    """What a run is started with."""

    input: Any = Field(default=None, description="Checked against the automation's `inputs`.")
    concurrency_key: Name | None = None
    version_number: VersionNumber | None = Field(default=None, description="Default: the active version.")


class RunEvent(_Answer):
    """An event of a run; `seq` counts 1, 2, 3, … without gaps."""

    seq: int
    type: str
    run_id: str
    attempt: int
    step_key: str | None
    occurred_at: AwareDatetime
    data: dict[str, Any]


class RunEventPage(_Answer):
    """Some stored events in order; `nextAfter` asks for the next ones, null when there are none yet."""

    items: list[RunEvent]
    next_after: int | None


# --- automations -------------------------------------------------------------------------------------------


class LatestRun(_Answer):
    """The newest run of an automation."""

    completed_at: AwareDatetime | None
    id: str
    started_at: AwareDatetime | None
    status: RunStatus
    version_number: int


class VersionsSummary(_Answer):
    """How many versions an automation has."""

    active_count: int
    count: int
    has_draft: bool


class Automation(_Answer):
    """An automation; `config` is its draft's, else the active version's, else the latest."""

    config: dict[str, Any]
    created_at: AwareDatetime
    description: str | None
    id: str
    latest_run: LatestRun | None
    name: str
    orchestrator_type: OrchestratorType
    slug: str
    source_agent_run_id: str | None
    source_agent_spec_id: str | None
    source_type: str
    status: VersionStatus
    template_id: str | None
    tenant_id: str
    trigger_type: TriggerType
    updated_at: AwareDatetime
    versions_summary: VersionsSummary


class AutomationList(_Answer):
    """Some of the automations, newest first, and how many there are in all."""

    items: list[Automation]
    total: int


def _no_default(schema: dict[str, Any]) -> None:
    """What is left out of a change stays as it is: the field has no default to tell."""
    del schema["default"]


class CreateAutomationRequest(_Request):
    """What an automation is made from."""

    config: dict[str, Any]
    name: Name
    description: Text | None = None
    template_id: Name | None = None
    orchestrator_type: OrchestratorType = "dag"
    trigger_type: TriggerType = "manual"


class UpdateAutomationRequest(_Request):
    """What is to be changed; a new `config` goes into the draft, which is made when there is none."""

    config: dict[str, Any] = Field(default={}, json_schema_extra=_no_default)
    name: Name = Field(default="", json_schema_extra=_no_default)
    description: Text | None = Field(default=None, json_schema_extra=_no_default)
    orchestrator_type: OrchestratorType = Field(default="dag", json_schema_extra=_no_default)
    trigger_type: TriggerType = Field(default="manual", json_schema_extra=_no_default)


class ValidateRequest(_Request):
    """A config to look at."""

    config: Any


class Validation(_Answer):
    """What a dry check found: the steps as they would run, and every fault."""

    valid: bool
    steps: list[dict[str, Any]]
    faults: list[ValidationErrorItem]
    notes: list[ValidationErrorItem] = Field(description="No faults, but worth knowing.")


class Version(_Answer):
    """A numbered version of an automation."""

    automation_id: str
    config: dict[str, Any]
    created_at: AwareDatetime
    id: str
    number: int
    published_at: AwareDatetime | None
    status: VersionStatus
    tenant_id: str
    updated_at: AwareDatetime


class VersionList(_Answer):
    """All versions of an automation, newest first."""

    items: list[Version]
    total: int


class CreateVersionRequest(_Request):
    """A new draft: of this `config`, else of the active (or the latest) version's."""

    config: dict[str, Any] = Field(default={}, json_schema_extra=_no_default)


# --- action runs, kinds, artifacts -------------------------------------------------------------------------


class ActionRunQuery(BaseModel):
    """Which action runs a list shows."""

    action_id: str | None = None
    automation_run_id: UUID | None = None
    kind: Name | None = None
    limit: int = Field(default=100, ge=1, le=100)
    offset: int = Field(default=0, ge=0)
    parent_action_run_id: str | None = None
    status: StepStatus | None = None


class ActionRun(_Answer):
    """The execution of a step in one attempt of its run."""

    action_id: str | None
    automation_run_id: str
    completed_at: AwareDatetime | None
    concurrency_key: str | None
    created_at: AwareDatetime
    definition: Any
    display_status: str
    duration_seconds: float | None
    error: dict[str, Any] | None
    id: str
    idempotency_key: str
    interrupt_count: int
    kind: str
    parent_action_run_id: str | None
    progress: Any
    result: dict[str, Any] | None
    result_truncated: bool
    artifact_id: str | None
    retry_count: int
    started_at: AwareDatetime | None
    status: str
    step_key: str
    attempt: int
    trigger_method: str
    trigger_source_id: str | None
    trigger_source_type: TriggerSourceType
    updated_at: AwareDatetime


class ActionRunList(_Answer):
    """Some of the action runs, newest first."""

    has_next: bool
    limit: int
    offset: int
    runs: list[ActionRun]
    total: int
    users: dict[str, Any]


class Kind(_Answer):
    """A kind of step."""

    kind: str
    title: str
    description: str
    available: bool = Field(description="False: what it needs is not installed; `extra` brings it.")
    extra: str | None
    definition_schema: dict[str, Any] = Field(description="The JSON Schema of a step's `definition`.")


class KindList(_Answer):
    """Every kind of step."""

    items: list[Kind]
    total: int


class Artifact(_Answer):
    """A result too large to stand in its step."""

    action_run_id: str
    automation_run_id: str
    created_at: AwareDatetime
    id: str
    kind: Literal["json", "text", "file"]
    size_bytes: int


# --- access and health -------------------------------------------------------------------------------------


class Organization(_Answer):
    """An organization."""

    id: str
    name: str
    slug: str
    tenant_status: str


class OpenSessionRequest(_Request):
    """The API key, where it is not in a header."""

    api_key: str | None = None


class OpenedSession(_Answer):
    """A session was opened; its token is in the cookie."""

    expires_at: AwareDatetime
    organization_id: str


class Session(_Answer):
    """How the caller is known."""

    auth_method: Literal["bearer", "api_key", "cookie"]
    organization: Organization
    organization_id: str
    role: str
    session_id: str
    token_type: Literal["api_key", "session"]


class Me(_Answer):
    """Who calls; `user` is null until people can sign in."""

    session: Session
    user: dict[str, Any] | None


class Health(_Answer):
    """Whether the service can work."""

    model_config = ConfigDict(extra="allow")

    status: str


REQUESTS: tuple[type[BaseModel], ...] = (
    RetryRequest,
    StartRunRequest,
    CreateAutomationRequest,
    UpdateAutomationRequest,
    ValidateRequest,
    CreateVersionRequest,
    OpenSessionRequest,
)
"""The request bodies; the framework does not read them itself, so it does not know them."""
