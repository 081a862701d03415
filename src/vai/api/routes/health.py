"""Whether the service is there, and where to look; without credentials."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from vai.access import Unauthenticated
from vai.api import models, present
from vai.api.credentials import principal
from vai.api.doors import doors_of
from vai.api.locality import is_local
from vai.ports import StoreUnavailable

root = APIRouter(tags=["Health"])
router = APIRouter(tags=["Health"])

_ALIVE = present.encode({"status": "ok"})


@root.get("/", include_in_schema=False)
async def get_places(request: Request) -> Response:
    """Where to look."""
    app = request.app
    places = {"api": "/api/v1", "openapi": app.openapi_url, "health": "/health"}
    return present.answer({"name": app.title, "version": app.version, **places})


_RESPONSES: dict[int | str, dict[str, Any]] = {503: {"description": "It cannot work just now.", "model": models.Health}}


@root.get("/health", response_model=models.Health, responses=_RESPONSES)
async def get_health(request: Request, deep: bool = False) -> Response:
    """The process answers; `deep` asks every part of it."""
    return await _deep(request) if deep else Response(_ALIVE, media_type="application/json")


@router.get("/health", response_model=models.Health, responses=_RESPONSES)
async def get_service_health(request: Request, deep: bool = False) -> Response:
    """The process answers; `deep` asks every part of it. Who has no key, and asks from elsewhere, hears of each
    part its status alone."""
    return await _deep(request) if deep else Response(_ALIVE, media_type="application/json")


async def _deep(request: Request) -> Response:
    found = await doors_of(request).health(True)
    if not await _is_trusted(request):
        found = {name: _status_of(part) for name, part in found.items()}
    return present.answer(found, 503 if found["status"] == "failing" else 200)


def _status_of(part: Any) -> Any:
    return {"status": part["status"]} if isinstance(part, Mapping) else part


async def _is_trusted(request: Request) -> bool:
    if is_local(request):
        return True
    try:
        await principal(request)
    except (Unauthenticated, StoreUnavailable):
        return False
    return True
