"""Connections: create, look at, change, remove, and try."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.reading import read
from vai.api.routes.parameters import ConnectionId, Offset, bounded
from vai.connections import ConnectionPatch, NewConnection

router = APIRouter(prefix="/connections", tags=["Connections"])

PageSize = Annotated[int, Query(ge=1, le=100)]


@router.post(
    "",
    status_code=201,
    response_model=models.Connection,
    responses=problems(403, 409, 413, 415),
    openapi_extra=body(models.CreateConnectionRequest, required=True),
)
async def create_connection(request: Request, who: Caller) -> Response:
    """Make a connection. Its credentials are encrypted, and never shown again."""
    asked = await read(request, models.CreateConnectionRequest)
    new = NewConnection(asked.name, asked.provider, asked.config, asked.credentials, asked.slug)
    record = await doors_of(request).connections.create(who, new)
    return present.answer(present.connection(record), 201, {"Location": f"/api/v1/connections/{record.id}"})


@router.get("", response_model=models.ConnectionList, responses=problems())
async def list_connections(request: Request, who: Caller, limit: PageSize = 50, offset: Offset = 0) -> Response:
    """Connections of the organization, newest first."""
    page = await doors_of(request).connections.list(who, limit, bounded(offset))
    return present.answer(present.connection_page(page, limit, offset))


@router.get("/{connection_id}", response_model=models.Connection, responses=problems(404))
async def get_connection(request: Request, who: Caller, connection_id: ConnectionId) -> Response:
    """One connection, without its credentials."""
    record = await doors_of(request).connections.get(who, str(connection_id))
    return present.answer(present.connection(record))


@router.patch(
    "/{connection_id}",
    response_model=models.Connection,
    responses=problems(403, 404, 409, 413, 415),
    openapi_extra=body(models.UpdateConnectionRequest),
)
async def update_connection(request: Request, who: Caller, connection_id: ConnectionId) -> Response:
    """Change a connection; what is left out stays. `credentials` replace all that there were."""
    asked = await read(request, models.UpdateConnectionRequest)
    given: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    record = await doors_of(request).connections.update(who, str(connection_id), ConnectionPatch(**given))
    return present.answer(present.connection(record))


@router.delete("/{connection_id}", status_code=204, responses=problems(403, 404))
async def delete_connection(request: Request, who: Caller, connection_id: ConnectionId) -> Response:
    """Remove a connection with its credentials. Steps that name it fail from now on."""
    await doors_of(request).connections.delete(who, str(connection_id))
    return Response(status_code=204)


@router.post("/{connection_id}/verify", response_model=models.Verification, responses=problems(403, 404, 409))
async def verify_connection(request: Request, who: Caller, connection_id: ConnectionId) -> Response:
    """Try a connection, where its provider is known here, and keep what that told."""
    record, verdict = await doors_of(request).connections.verify(who, str(connection_id))
    shown = {"connection": present.connection(record), "verified": verdict.works, "message": verdict.message}
    return present.answer(shown)
