"""Whether the service is there, and where to look; without credentials."""

from fastapi import APIRouter, Request, Response

from vai.api import models, present
from vai.api.doors import doors_of

root = APIRouter(tags=["Health"])
router = APIRouter(tags=["Health"])

_ALIVE = present.encode({"status": "ok"})


@root.get("/", include_in_schema=False)
async def get_places(request: Request) -> Response:
    """Where to look."""
    app = request.app
    places = {"api": "/api/v1", "openapi": app.openapi_url, "health": "/health"}
    return present.answer({"name": app.title, "version": app.version, **places})


@root.get("/health", response_model=models.Health)
async def get_health() -> Response:
    """The process answers."""
    return Response(_ALIVE, media_type="application/json")


@router.get(
    "/health",
    response_model=models.Health,
    responses={503: {"description": "It cannot work just now.", "model": models.Health}},
)
async def get_service_health(request: Request, deep: bool = False) -> Response:
    """Whether the service can work; `deep` also asks the database."""
    found = await doors_of(request).health(deep)
    return present.answer(found, 200 if found["status"] == "ok" else 503)
