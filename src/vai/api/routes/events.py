"""The event stream of a run, and the same events as a page."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from vai.api import models, present, wire
from vai.api.credentials import Caller
from vai.api.document import problems
from vai.api.doors import doors_of, options_of
from vai.api.routes.parameters import Limit, RunId
from vai.api.stream import EventStream

router = APIRouter(prefix="/automation-runs", tags=["Automation runs"])

_LARGEST = 2**53

After = Annotated[int | None, Query(ge=0, le=_LARGEST, description="Only events with a number above this.")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="As `after`, sent by a listener that comes again; `after` goes first."),
]

_SENT_EVENT = {
    "type": "object",
    "description": "One event of the stream; `data` is a RunEvent as JSON text. The last one, `stream.end`, has no id.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The run's events as they come; as a page with `Accept: application/json`.",
        "content": {"text/event-stream": {"schema": _SENT_EVENT}},
    }
}


@router.get("/{run_id}/events", response_model=models.RunEventPage, responses={**_STREAM, **problems(404)})
async def stream_run_events(
    request: Request,
    who: Caller,
    run_id: RunId,
    after: After = None,
    limit: Limit = 100,
    last_event_id: LastEventId = None,
) -> Response:
    """Every event of the run that the listener lacks, then what comes; `stream.end` and the end after a final
    status. With `Accept: application/json` up to `limit` stored events instead."""
    known = after if after is not None else _number(last_event_id)
    doors = doors_of(request)
    if _wants_page(request.headers.get("accept", "")):
        found = await doors.runs.events(who, str(run_id), known, limit + 1)
        return present.answer(wire.event_page(found, known, limit))
    batches = await doors.runs.follow(who, str(run_id), known)
    return EventStream(str(run_id), batches, request.app.state.streams, options_of(request.app))


def _number(last_event_id: str | None) -> int:
    """The number in the header; what is none is ignored, as the header's standard has it."""
    if last_event_id is None or not (last_event_id.isascii() and last_event_id.isdecimal()):
        return 0
    return min(int(last_event_id[:20]), _LARGEST)


def _wants_page(accept: str) -> bool:
    accept = accept.lower()
    return "application/json" in accept and "text/event-stream" not in accept
