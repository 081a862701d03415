"""Triggers: look at what starts runs besides people, hold it, let it go on; and when schedules are due."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.problems import Invalid
from vai.api.reading import read
from vai.api.routes.parameters import AutomationId, TriggerId
from vai.definition import BadLine, BadZone
from vai.ports import Fault

router = APIRouter(tags=["Triggers"])

Count = Annotated[int, Query(ge=1, le=100)]


@router.get("/automations/{automation_id}/triggers", response_model=models.TriggerList, responses=problems(404))
async def list_triggers(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """The triggers of the automation's active version, by key."""
    found = await doors_of(request).triggers.list(who, str(automation_id))
    return present.answer(present.listed(present.trigger(record) for record in found))


@router.get("/triggers/{trigger_id}", response_model=models.Trigger, responses=problems(404))
async def get_trigger(request: Request, who: Caller, trigger_id: TriggerId) -> Response:
    """One trigger."""
    return present.answer(present.trigger(await doors_of(request).triggers.get(who, str(trigger_id))))


@router.post("/triggers/{trigger_id}/pause", response_model=models.Trigger, responses=problems(403, 404))
async def pause_trigger(request: Request, who: Caller, trigger_id: TriggerId) -> Response:
    """Let it start nothing until it is resumed."""
    return present.answer(present.trigger(await doors_of(request).triggers.pause(who, str(trigger_id))))


@router.post("/triggers/{trigger_id}/resume", response_model=models.Trigger, responses=problems(403, 404))
async def resume_trigger(request: Request, who: Caller, trigger_id: TriggerId) -> Response:
    """Let it go on; what fell into the pause is made up for only as its `catchUp` says."""
    return present.answer(present.trigger(await doors_of(request).triggers.resume(who, str(trigger_id))))


@router.get("/triggers/{trigger_id}/next", response_model=models.NextRuns, responses=problems(404))
async def get_next_runs(request: Request, who: Caller, trigger_id: TriggerId, count: Count = 5) -> Response:
    """When a schedule is due next, were it not paused; nothing for other triggers."""
    return present.answer(present.next_runs(await doors_of(request).triggers.next(who, str(trigger_id), count)))


@router.post(
    "/scheduling/cron-preview",
    response_model=models.NextRuns,
    responses=problems(403, 413, 415),
    openapi_extra=body(models.CronPreviewRequest, required=True),
)
async def preview_cron(request: Request, who: Caller) -> Response:
    """When a cron line would be due next. Keeps nothing."""
    asked = await read(request, models.CronPreviewRequest)
    try:
        found = doors_of(request).triggers.preview(asked.cron_expression, asked.timezone, asked.count)
    except BadLine as error:
        raise Invalid([Fault(("body", "cronExpression"), str(error), "cron_line")]) from None
    except BadZone as error:
        raise Invalid([Fault(("body", "timezone"), str(error), "time_zone")]) from None
    return present.answer(present.next_runs(found))
