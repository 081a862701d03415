"""Automations: define, look at, change, remove, and check."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from vai.access import Principal
from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.problems import below, items_of
from vai.api.reading import read
from vai.api.routes.parameters import AutomationId, Limit, Offset, Word, bounded
from vai.automations import AutomationPage, AutomationPatch, Automations, NewAutomation
from vai.definition import InvalidDefinition

router = APIRouter(prefix="/automations", tags=["Automations"])

AutomationStatuses = Annotated[
    list[models.VersionStatus] | None, Query(alias="status", description="May be given several times.")
]
ByName = Annotated[Word | None, Query(description="The one automation of just this name.")]


@router.post(
    "",
    status_code=201,
    response_model=models.Automation,
    responses=problems(403, 409, 413, 415),
    openapi_extra=body(models.CreateAutomationRequest, required=True),
)
async def create_automation(request: Request, who: Caller) -> Response:
    """Define an automation. Its first version is a draft: publish it, then start runs."""
    asked = await read(request, models.CreateAutomationRequest)
    new = NewAutomation(
        name=asked.name,
        config=asked.config,
        description=asked.description,
        template_id=asked.template_id,
        orchestrator_type=asked.orchestrator_type,
        trigger_type=asked.trigger_type,
    )
    view = await doors_of(request).automations.create(who, new)
    headers = {"Location": f"/api/v1/automations/{view.record.id}"}
    return present.answer(present.automation(view), 201, headers)


@router.get("", response_model=models.AutomationList, responses=problems())
async def list_automations(
    request: Request,
    who: Caller,
    status: AutomationStatuses = None,
    name: ByName = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """Automations of the organization, newest first."""
    automations = doors_of(request).automations
    if name is None:
        page = await automations.list(who, status or (), limit, bounded(offset))
    else:
        page = await _named(automations, who, name, status)
        page = AutomationPage(page.items[offset : offset + limit], page.total)
    return present.answer(present.automation_page(page))


async def _named(
    automations: Automations, who: Principal, name: str, status: list[models.VersionStatus] | None
) -> AutomationPage:
    view = await automations.by_name(who, name)
    found = [] if view is None or (status and view.record.status not in status) else [view]
    return AutomationPage(found, len(found))


@router.post(
    "/validate",
    response_model=models.Validation,
    responses=problems(403, 413, 415),
    openapi_extra=body(models.ValidateRequest, required=True),
)
async def validate_automation(request: Request, who: Caller) -> Response:
    """Look at a config without keeping it: its steps with everything filled in, or every fault."""
    asked = await read(request, models.ValidateRequest)
    try:
        definition = await doors_of(request).automations.validate(asked.config)
    except InvalidDefinition as invalid:
        faults = items_of(below(("body", "config"), invalid.faults))
        return present.answer({"valid": False, "steps": [], "faults": faults, "notes": []})
    unknown = await doors_of(request).connections.unknown(who, definition.normalised)
    notes = items_of(below(("body", "config"), (*definition.notes, *unknown)))
    return present.answer({"valid": True, "steps": definition.normalised["steps"], "faults": [], "notes": notes})


@router.get("/{automation_id}", response_model=models.Automation, responses=problems(404))
async def get_automation(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """One automation."""
    view = await doors_of(request).automations.get(who, str(automation_id))
    return present.answer(present.automation(view))


@router.patch(
    "/{automation_id}",
    response_model=models.Automation,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.UpdateAutomationRequest),
)
async def update_automation(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """Change an automation; what is left out stays. A new `config` goes into the draft."""
    asked = await read(request, models.UpdateAutomationRequest)
    given: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    view = await doors_of(request).automations.update(who, str(automation_id), AutomationPatch(**given))
    return present.answer(present.automation(view))


@router.delete("/{automation_id}", status_code=204, responses=problems(403, 404, 409))
async def delete_automation(request: Request, who: Caller, automation_id: AutomationId) -> Response:
    """Remove an automation with its versions and its final runs."""
    await doors_of(request).automations.delete(who, str(automation_id))
    return Response(status_code=204)
