"""Decisions: what people are asked, and their answers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vai.api import models, present
from vai.api import present_decisions as shown
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.reading import read
from vai.api.routes.parameters import DecisionId, bounded
from vai.ports import DecisionFilter
from vai.runs import Answer

router = APIRouter(prefix="/decisions", tags=["Decisions"])


@router.get("", response_model=models.DecisionList, responses=problems())
async def list_decisions(request: Request, who: Caller, chosen: Annotated[models.DecisionQuery, Query()]) -> Response:
    """Decisions of the organization, newest first."""
    query = DecisionFilter(
        tenant_id=who.tenant_id,
        statuses=chosen.status,
        run_id=None if chosen.run is None else str(chosen.run),
        assigned_to=who.names if chosen.mine else None,
        limit=chosen.limit,
        offset=bounded(chosen.offset),
    )
    return present.answer(shown.decision_page(await doors_of(request).decisions.list(query)))


@router.get("/{decision_id}", response_model=models.Decision, responses=problems(404))
async def get_decision(request: Request, who: Caller, decision_id: DecisionId) -> Response:
    """One decision."""
    return present.answer(shown.decision(await doors_of(request).decisions.get(who, str(decision_id))))


@router.post(
    "/{decision_id}/approve",
    response_model=models.Decision,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.DecisionRequest),
)
async def approve_decision(request: Request, who: Caller, decision_id: DecisionId) -> Response:
    """Say yes: the step completes, and the run goes on. Whoever comes second gets 409 and how it was decided."""
    return await _decide(request, who, decision_id, approved=True)


@router.post(
    "/{decision_id}/reject",
    response_model=models.Decision,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.DecisionRequest),
)
async def reject_decision(request: Request, who: Caller, decision_id: DecisionId) -> Response:
    """Say no: the step fails; one that was interrupted runs again."""
    return await _decide(request, who, decision_id, approved=False)


async def _decide(request: Request, who: Caller, decision_id: DecisionId, *, approved: bool) -> Response:
    asked = await read(request, models.DecisionRequest)
    answer = Answer(approved, asked.reason, asked.fields)
    return present.answer(shown.decision(await doors_of(request).decisions.decide(who, str(decision_id), answer)))
