"""Action runs: what the steps of runs executed, one for each attempt."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import problems
from vai.api.doors import doors_of
from vai.api.routes.parameters import bounded
from vai.ports import ActionRunFilter, Page

router = APIRouter(prefix="/action-runs", tags=["Action runs"])

ActionRunId = Annotated[UUID, Path(alias="action_run_id")]


@router.get("", response_model=models.ActionRunList, responses=problems())
async def list_action_runs(
    request: Request,
    who: Caller,
    chosen: Annotated[models.ActionRunQuery, Query()],
) -> Response:
    """Action runs of the organization, newest first."""
    limit, offset = chosen.limit, bounded(chosen.offset)
    query = ActionRunFilter(
        tenant_id=who.tenant_id,
        run_id=None if chosen.automation_run_id is None else str(chosen.automation_run_id),
        kind=chosen.kind,
        status=chosen.status,
        limit=limit,
        offset=offset,
    )
    # Steps come from no saved action and have no parent: whoever asks for those finds none.
    is_empty = chosen.action_id is not None or chosen.parent_action_run_id is not None
    page = Page((), 0) if is_empty else await doors_of(request).runs.action_runs(query)
    return present.answer(present.action_run_page(page, limit, offset))


@router.get("/{action_run_id}", response_model=models.ActionRun, responses=problems(404))
async def get_action_run(request: Request, who: Caller, action_run_id: ActionRunId) -> Response:
    """One action run."""
    record = await doors_of(request).runs.action_run(who, str(action_run_id))
    return present.answer(present.action_run(record))
