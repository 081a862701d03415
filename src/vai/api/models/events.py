"""Events of the organization: its log, and what others tell of."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from vai.api.models.common import NO_NUL, Answer, Moment, Request

EventType = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=NO_NUL)]


class TenantEvent(Answer):
    """Something that concerns the organization: what happened to what, who did it, and what it follows from."""

    actor_id: str | None
    actor_type: str
    causation_id: str | None
    correlation_id: str
    event_type: str
    id: str
    occurred_at: AwareDatetime
    payload: Any
    resource_id: str | None
    resource_type: str | None
    tenant_id: str


class TenantEventQuery(BaseModel):
    """Which events a list shows."""

    event_type: Label | None = None
    from_: Moment | None = Field(None, alias="from", description="Those that occurred then or later.")
    limit: int = Field(default=100, ge=1, le=100)
    offset: int = Field(default=0, ge=0)
    resource_id: Label | None = None
    resource_type: Label | None = None
    to: Moment | None = Field(None, description="Those that occurred before.")


class TenantEventList(Answer):
    """Some of the events, newest first, and how many there are in all."""

    events: list[TenantEvent]
    has_next: bool
    limit: int
    offset: int
    total: int


class Counted(Answer):
    """How many events have this in common."""

    count: int
    key: str


class EventCounts(Answer):
    """How many events there are, most first."""

    by_actor_type: list[Counted]
    by_event_type: list[Counted]
    by_resource_type: list[Counted]
    total: int


class PostEventRequest(Request):
    """An event for all that wait for it."""

    event_type: EventType = Field(description="For example payment.received")
    payload: Any = None
    resource_type: Label | None = Field(None, description="What it is about.")
    resource_id: Label | None = None
    correlation_id: Label | None = Field(None, description="Default: the event's id.")
