"""Automation runs: list, get, cancel, retry and its plan, steps."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.problems import Problem
from vai.api.reading import read
from vai.api.routes.parameters import Limit, Offset, RunId, Statuses, bounded
from vai.domain.status import RunStatus

router = APIRouter(prefix="/automation-runs", tags=["Automation runs"])

Attempt = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="An earlier attempt; default: as the steps stand.")
]


@router.get("", response_model=models.RunList, responses=problems())
async def list_all_runs(
    request: Request, who: Caller, status: Statuses = None, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """Runs of the organization, newest first."""
    page = await doors_of(request).runs.list(who, status or (), limit, bounded(offset))
    return present.answer(present.run_page(page))


@router.post(
    "/prune",
    response_model=models.Pruned,
    responses=problems(403, 413, 415),
    openapi_extra=body(models.PruneRequest, required=True),
)
async def prune_runs(request: Request, who: Caller) -> Response:
    """Remove final runs of the organization that ended long ago, with all that hangs on them; up to 1,000 at once."""
    if who.role != "admin":
        raise Problem(403, "needs-admin", "Only an administrator removes runs.")
    asked = await read(request, models.PruneRequest)
    statuses = [RunStatus(status) for status in asked.status]
    pruned = await doors_of(request).retention.prune(who, statuses, asked.older_than_seconds, dry_run=asked.dry_run)
    return present.answer({"runs": pruned.runs, "hasMore": pruned.has_more, "dryRun": asked.dry_run})


@router.get("/{run_id}", response_model=models.Run, responses=problems(404))
async def get_run(request: Request, who: Caller, run_id: RunId) -> Response:
    """One run."""
    return present.answer(present.run(await doors_of(request).runs.get(who, str(run_id))))


@router.post("/{run_id}/cancel", response_model=models.Run, responses=problems(403, 404))
async def cancel_run(request: Request, who: Caller, run_id: RunId) -> Response:
    """End a run early; a final run is answered unchanged."""
    return present.answer(present.run(await doors_of(request).runs.cancel(who, str(run_id))))


@router.post(
    "/{run_id}/retry",
    response_model=models.Run,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.RetryRequest),
)
async def retry_run(request: Request, who: Caller, run_id: RunId) -> Response:
    """Take a final run up again, as its next attempt."""
    asked = await read(request, models.RetryRequest)
    record = await doors_of(request).runs.retry(who, str(run_id), asked.mode, asked.step_key)
    return present.answer(present.run(record))


@router.post(
    "/{run_id}/retry-plan",
    response_model=models.RetryPlan,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.RetryRequest),
)
async def plan_retry(request: Request, who: Caller, run_id: RunId) -> Response:
    """What that retry would do to each step, and why; changes nothing."""
    asked = await read(request, models.RetryRequest)
    runs = doors_of(request).runs
    record = await runs.get(who, str(run_id))
    plan = await runs.retry_plan(who, str(run_id), asked.mode, asked.step_key)
    return present.answer(present.retry_plan(record, asked.mode, plan))


@router.get("/{run_id}/explain", response_model=models.Explanation, responses=problems(404))
async def explain_run(request: Request, who: Caller, run_id: RunId) -> Response:
    """Why a run, or a step of it, is not moving; since when, until when, and what one can do."""
    return present.answer(present.explanation(await doors_of(request).runs.explain(who, str(run_id))))


@router.get("/{run_id}/steps", response_model=models.RunSteps, responses=problems(404))
async def get_run_steps(request: Request, who: Caller, run_id: RunId, attempt: Attempt = None) -> Response:
    """All steps of a run in the order of their definition, with how many are in each status."""
    return present.answer(present.steps(await doors_of(request).runs.steps(who, str(run_id), attempt)))
