"""Automations and their versions."""

from typing import Any

from pydantic import AwareDatetime, Field

from vai.api.models.common import (
    Answer,
    Name,
    OrchestratorType,
    Request,
    Text,
    TriggerType,
    ValidationErrorItem,
    VersionStatus,
    no_default,
)
from vai.domain.status import RunStatus


class LatestRun(Answer):
    """The newest run of an automation."""

    completed_at: AwareDatetime | None
    id: str
    started_at: AwareDatetime | None
    status: RunStatus
    version_number: int


class VersionsSummary(Answer):
    """How many versions an automation has."""

    active_count: int
    count: int
    has_draft: bool


class Automation(Answer):
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


class AutomationList(Answer):
    """Some of the automations, newest first, and how many there are in all."""

    items: list[Automation]
    total: int


class CreateAutomationRequest(Request):
    """What an automation is made from."""

    config: dict[str, Any]
    name: Name
    description: Text | None = None
    template_id: Name | None = None
    orchestrator_type: OrchestratorType = "dag"
    trigger_type: TriggerType = "manual"


class UpdateAutomationRequest(Request):
    """What is to be changed; a new `config` goes into the draft, which is made when there is none."""

    config: dict[str, Any] = Field(default={}, json_schema_extra=no_default)
    name: Name = Field(default="", json_schema_extra=no_default)
    description: Text | None = Field(default=None, json_schema_extra=no_default)
    orchestrator_type: OrchestratorType = Field(default="dag", json_schema_extra=no_default)
    trigger_type: TriggerType = Field(default="manual", json_schema_extra=no_default)


class ValidateRequest(Request):
    """A config to look at."""

    config: Any


class Validation(Answer):
    """What a dry check found: the steps as they would run, and every fault."""

    valid: bool
    steps: list[dict[str, Any]]
    faults: list[ValidationErrorItem]
    notes: list[ValidationErrorItem] = Field(description="No faults, but worth knowing.")


class Version(Answer):
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


class VersionList(Answer):
    """All versions of an automation, newest first."""

    items: list[Version]
    total: int


class CreateVersionRequest(Request):
    """A new draft: of this `config`, else of the active (or the latest) version's."""

    config: dict[str, Any] = Field(default={}, json_schema_extra=no_default)
