"""What people are asked, and what they answer."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from vai.api.models.common import NO_NUL, Answer, Request
from vai.domain.status import DecisionKind, DecisionStatus, OnExpire

Reason = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]


class Decision(Answer):
    """A question to people, and what became of it."""

    id: str
    tenant_id: str
    run_id: str
    attempt: int = Field(description="Of the run.")
    step_key: str
    kind: DecisionKind = Field(description="`interrupt`: whether an interrupted step had happened.")
    title: str
    message: str | None
    fields_schema: dict[str, Any] | None = Field(description="JSON Schema of what is to be filled in.")
    assignees: list[str] = Field(description="Ids or names of the API keys that may decide; none: everybody may.")
    allow_self_approval: bool = Field(description="false: whoever started the run may not decide.")
    status: DecisionStatus
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    on_expire: OnExpire | None = Field(description="What it means that nobody has decided in time.")
    decided_by: str | None = Field(description="The id of the API key or session that decided.")
    decided_by_name: str | None
    decided_at: AwareDatetime | None = Field(description="When it was decided, expired or was withdrawn.")
    reason: str | None
    fields: dict[str, Any] | None


class DecisionList(Answer):
    """Some of the decisions, newest first, and how many there are in all."""

    items: list[Decision]
    total: int


class DecisionQuery(BaseModel):
    """Which decisions are asked for."""

    model_config = ConfigDict(extra="ignore")

    status: list[DecisionStatus] = Field(default=[], description="May be given several times.")
    run: UUID | None = Field(default=None, description="Those of this run.")
    mine: bool = Field(default=False, description="Those that the caller is named for, or that everybody may decide.")
    limit: int = Field(default=100, ge=0, le=1000)
    offset: int = Field(default=0, ge=0)


class DecisionRequest(Request):
    """What a person answers."""

    reason: Reason | None = None
    fields: dict[str, Any] | None = Field(default=None, description="What is filled in, by `fieldsSchema`.")
