"""The kinds of steps that there are, each with the JSON Schema of its definition."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import problems
from vai.api.doors import doors_of
from vai.runs import NotFound

router = APIRouter(prefix="/kinds", tags=["Kinds"])


@router.get("", response_model=models.KindList, responses=problems())
async def list_kinds(request: Request, who: Caller) -> Response:
    """Every kind: built-in ones, then users' own."""
    return present.answer(present.listed(present.kind(action) for action in doors_of(request).actions.all()))


@router.get("/{kind}", response_model=models.Kind, responses=problems(404))
async def get_kind(request: Request, who: Caller, kind: Annotated[str, Path()]) -> Response:
    """One kind."""
    action = doors_of(request).actions.get(kind)
    if action is None:
        raise NotFound(f"There is no kind {kind!r} here. GET /api/v1/kinds lists them.")
    return present.answer(present.kind(action))
