"""The numbered versions of an automation: one draft, one active, the rest archived."""

import msgspec
from fastapi import APIRouter, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.reading import read
from vai.api.routes.parameters import AutomationId, VersionNumber

router = APIRouter(prefix="/automations/{automation_id}/versions", tags=["Automation versions"])


@router.get("", response_model=models.VersionList, responses=problems(404))
async def list_versions(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """All versions, newest first."""
    found = await doors_of(request).automations.versions(who, str(automation_id))
    return present.answer(present.listed(present.version(record) for record in found))


@router.post(
    "",
    status_code=201,
    response_model=models.Version,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.CreateVersionRequest),
)
async def create_version(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """A new draft: of the config that is given, else of the active (or the latest) version's."""
    asked = await read(request, models.CreateVersionRequest)
    config = asked.config if "config" in asked.model_fields_set else msgspec.UNSET
    record = await doors_of(request).automations.create_draft(who, str(automation_id), config)
    headers = {"Location": f"/api/v1/automations/{automation_id}/versions/{record.number}"}
    return present.answer(present.version(record), 201, headers)


@router.get("/{number}", response_model=models.Version, responses=problems(404))
async def get_version(request: Request, who: Caller, automation_id: AutomationId, number: VersionNumber) -> Response:
    """One version."""
    record = await doors_of(request).automations.version(who, str(automation_id), number)
    return present.answer(present.version(record))


@router.post("/{number}/publish", response_model=models.Version, responses=problems(403, 404, 409))
async def publish_version(
    request: Request, who: Caller, automation_id: AutomationId, number: VersionNumber
) -> Response:
    """Make it the active version; the one before it is archived."""
    record = await doors_of(request).automations.publish(who, str(automation_id), number)
    return present.answer(present.version(record))


@router.post("/{number}/archive", response_model=models.Version, responses=problems(403, 404, 409))
async def archive_version(
    request: Request, who: Caller, automation_id: AutomationId, number: VersionNumber
) -> Response:
    """Retire a version: no run starts from it unless it is named."""
    record = await doors_of(request).automations.archive(who, str(automation_id), number)
    return present.answer(present.version(record))
