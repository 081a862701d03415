"""Events of the organization: its log, and events that others tell of."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from vai.api import models, present, present_events
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.models.common import Moment
from vai.api.problems import Invalid
from vai.api.reading import read
from vai.api.routes import idempotency
from vai.api.routes.parameters import Offset, Word, bounded
from vai.domain.state import Instant
from vai.events import OWN_TYPES, NewEvent
from vai.ports import EventFilter, Fault

router = APIRouter(prefix="/events", tags=["Events"])

PageSize = Annotated[int, Query(ge=1, le=100)]
From = Annotated[Moment | None, Query(alias="from", description="Those that occurred then or later.")]
To = Annotated[Moment | None, Query(alias="to", description="Those that occurred before.")]
EventId = Annotated[UUID, Path(alias="event_id")]
_IDEMPOTENCY_KEY = idempotency.header("Told again with the same key, the event that was told first is answered.")

CorrelationId = Annotated[Word, Path(alias="correlation_id")]


@router.post(
    "",
    status_code=201,
    response_model=models.TenantEvent,
    responses={
        200: {"model": models.TenantEvent, "description": "It was told before."},
        **problems(403, 409, 413, 415),
    },
    openapi_extra={**body(models.PostEventRequest, required=True), "parameters": [_IDEMPOTENCY_KEY]},
)
async def post_event(request: Request, who: Caller) -> Response:
    """Tell of an event: every step that waits for it goes on."""
    asked = await read(request, models.PostEventRequest)
    if asked.event_type.partition(".")[0] in OWN_TYPES:
        msg = f"The types that begin with {asked.event_type.partition('.')[0]!r} are the engine's own."
        raise Invalid([Fault(("body", "eventType"), msg, "reserved")])
    new = NewEvent(asked.event_type, asked.payload, asked.resource_type, asked.resource_id, asked.correlation_id)
    event, is_new = await doors_of(request).events.post(who, new, idempotency.key_of(request))
    place = {"Location": f"/api/v1/events/{event.id}"}
    return present.answer(present_events.tenant_event(event), 201 if is_new else 200, place)


@router.get("", response_model=models.TenantEventList, responses=problems())
async def list_events(request: Request, who: Caller, chosen: Annotated[models.TenantEventQuery, Query()]) -> Response:
    """Events of the organization, newest first."""
    query = EventFilter(
        who.tenant_id,
        chosen.event_type,
        chosen.resource_type,
        chosen.resource_id,
        since=_instant(chosen.from_),
        until=_instant(chosen.to),
        limit=chosen.limit,
        offset=bounded(chosen.offset),
    )
    page = await doors_of(request).events.list(query)
    return present.answer(present_events.tenant_event_page(page, query.limit, chosen.offset))


@router.get("/aggregate", response_model=models.EventCounts, responses=problems())
async def count_events(request: Request, who: Caller, since: From = None, until: To = None) -> Response:
    """How many events there are, by type, by who acted, and by what they are about."""
    counts = await doors_of(request).events.count(who, _instant(since), _instant(until))
    return present.answer(present_events.event_counts(counts))


@router.get("/correlation/{correlation_id}", response_model=models.TenantEventList, responses=problems())
async def list_correlated_events(
    request: Request, who: Caller, correlation_id: CorrelationId, limit: PageSize = 100, offset: Offset = 0
) -> Response:
    """All that followed from one cause, newest first."""
    query = EventFilter(who.tenant_id, correlation_id=correlation_id, limit=limit, offset=bounded(offset))
    page = await doors_of(request).events.list(query)
    return present.answer(present_events.tenant_event_page(page, limit, offset))


@router.get("/{event_id}", response_model=models.TenantEvent, responses=problems(404))
async def get_event(request: Request, who: Caller, event_id: EventId) -> Response:
    """One event."""
    return present.answer(present_events.tenant_event(await doors_of(request).events.get(who, str(event_id))))


def _instant(at: datetime | None) -> Instant | None:
    return None if at is None else int(at.timestamp() * 1000)
