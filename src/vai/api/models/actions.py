"""Action runs, kinds and artifacts."""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from vai.api.models.common import Answer, Name, TriggerSourceType
from vai.domain.status import StepStatus


class ActionRunQuery(BaseModel):
    """Which action runs a list shows."""

    action_id: str | None = None
    automation_run_id: UUID | None = None
    kind: Name | None = None
    limit: int = Field(default=100, ge=1, le=100)
    offset: int = Field(default=0, ge=0)
    parent_action_run_id: str | None = None
    status: StepStatus | None = None


class ActionRun(Answer):
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


class ActionRunList(Answer):
    """Some of the action runs, newest first."""

    has_next: bool
    limit: int
    offset: int
    runs: list[ActionRun]
    total: int
    users: dict[str, Any]


class Kind(Answer):
    """A kind of step."""

    kind: str
    title: str
    description: str
    available: bool = Field(description="False: what it needs is not installed; `extra` brings it.")
    extra: str | None
    definition_schema: dict[str, Any] = Field(description="The JSON Schema of a step's `definition`.")


class KindList(Answer):
    """Every kind of step."""

    items: list[Kind]
    total: int


class Artifact(Answer):
    """A result too large to stand in its step, or a file that a step attached: that has a name, type and hash."""

    action_run_id: str
    automation_run_id: str
    created_at: AwareDatetime
    id: str
    kind: Literal["json", "text", "file"]
    size_bytes: int
    name: str | None
    media_type: str | None
    sha256: str | None


class ArtifactList(Answer):
    """Some of the artifacts, newest first, and how many there are in all."""

    artifacts: list[Artifact]
    has_next: bool
    limit: int
    offset: int
    total: int
