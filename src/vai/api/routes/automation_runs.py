"""The runs of one automation: start one, list them. Starting is what is asked most, so this comes first of all."""

from typing import Any

from fastapi import APIRouter, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.problems import Invalid
from vai.api.reading import read
from vai.api.routes import idempotency
from vai.api.routes.parameters import AutomationId, Limit, Offset, Statuses, bounded
from vai.ports import Fault
from vai.runs import StartRun, is_reserved

router = APIRouter(prefix="/automations/{automation_id}/runs", tags=["Automation runs"])

# Read and declared by hand: the framework takes long over a header.
_TRACEPARENT: dict[str, Any] = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "The caller's place in its trace (W3C Trace Context): the run's spans go below it.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = idempotency.header("Asked again with the same key, the run that was started first is answered.")


@router.post(
    "",
    status_code=201,
    response_model=models.Run,
    responses={
        200: {"description": "The Idempotency-Key was known: the run it started.", "model": models.Run},
        **problems(403, 404, 409, 413, 415),
    },
    openapi_extra={**body(models.StartRunRequest), "parameters": [_IDEMPOTENCY_KEY, _TRACEPARENT]},
)
async def start_run(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """Start a run of an automation's active version, or of a published one by its number."""
    asked = await read(request, models.StartRunRequest)
    start = StartRun(
        automation_id=str(automation_id),
        input=asked.input,
        concurrency_key=asked.concurrency_key,
        version_number=asked.version_number,
        idempotency_key=_idempotency_key(request),
        traceparent=request.headers.get("traceparent"),
    )
    created = await doors_of(request).runs.start(who, start)
    headers = {"Location": f"/api/v1/automation-runs/{created.run.id}"}
    if created.is_new:
        return present.answer(present.run(created.run), 201, headers)
    return present.answer(present.run(created.run), 200, {**headers, "Idempotent-Replayed": "true"})


def _idempotency_key(request: Request) -> str | None:
    key = idempotency.key_of(request)
    if key is not None and is_reserved(key):
        raise Invalid([Fault(("header", "Idempotency-Key"), "Keys that begin like this are kept for triggers.")])
    return key


@router.get("", response_model=models.RunList, responses=problems(404))
async def list_runs_of_automation(
    request: Request,
    who: Caller,
    automation_id: AutomationId,
    status: Statuses = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """Runs of one automation, newest first."""
    page = await doors_of(request).runs.list(who, status or (), limit, bounded(offset), str(automation_id))
    return present.answer(present.run_page(page))
