"""Webhooks: where other systems send what starts runs. Their signature is their credential."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from vai.api import models, present
from vai.api.document import problems
from vai.api.doors import doors_of, options_of
from vai.api.problems import Invalid, below
from vai.api.reading import read_bytes
from vai.api.routes.parameters import Word
from vai.ports import Delivery
from vai.runs import InvalidInput

router = APIRouter(tags=["Webhooks"])

OrganizationName = Annotated[Word, Path(alias="organization", description="Its id or slug.")]
WebhookPath = Annotated[Word, Path(alias="path", description="As the trigger has it.")]
_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/plain")
_BODY: dict[str, Any] = {
    "requestBody": {"content": {name: {"schema": {}} for name in _TYPES}, "required": False},
    "security": [],
}


@router.post(
    "/webhooks/{organization}/{path:path}",
    status_code=202,
    response_model=models.WebhookReceipt,
    responses={
        200: {"model": models.WebhookReceipt, "description": "It started no run, as its trigger has it."},
        **problems(404, 413, 415),
    },
    openapi_extra=_BODY,
)
async def receive_webhook(request: Request, organization: OrganizationName, path: WebhookPath) -> Response:
    """Start a run by a delivery. The same delivery again answers the run that it started."""
    body = await read_bytes(request, options_of(request.app).max_delivery_bytes)
    delivery = Delivery(organization, path, _headers(request), body)
    try:
        receipt = await doors_of(request).webhooks.receive(delivery)
    except InvalidInput as error:
        raise Invalid(below(("body",), error.faults)) from None
    status = 202 if receipt.run_id is not None else 200
    return present.answer({"outcome": receipt.outcome, "runId": receipt.run_id}, status)


def _headers(request: Request) -> dict[str, str]:
    """The first of each name counts, as everywhere here."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found.setdefault(name, value)
    return found
