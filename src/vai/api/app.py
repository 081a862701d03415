"""The application: routes, error answers and the document, put together around the doors it is given."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from vai.api import document, problems, quick
from vai.api.doors import Doors, HttpOptions
from vai.api.guard import Guard
from vai.api.routes import (
    action_runs,
    artifacts,
    automation_runs,
    automations,
    connections,
    decisions,
    events,
    health,
    kinds,
    metrics,
    runs,
    session,
    tenant_events,
    triggers,
    versions,
    webhooks,
)
from vai.api.stream import Streams

_NOUNS = (
    *(automation_runs, runs, events, decisions, automations, versions, action_runs, artifacts),
    *(triggers, connections, tenant_events, kinds, session, health),
)
_DESCRIPTION = "Automation runs: define automations, run them durably, watch, cancel and retry them."


def create_app(
    doors: Doors,
    *,
    heartbeat_seconds: float = 15.0,
    stall_seconds: float = 30.0,
    max_body_bytes: int = 10 * 1024 * 1024,
    lifespan: Callable[[FastAPI], Any] | None = None,
) -> FastAPI:
    """The ASGI application that serves these doors; it keeps nothing outside itself.

    heartbeat_seconds: between comments on a quiet event stream. stall_seconds: how long a listener may take
    nothing before it is dropped. Call `end_streams(app)` before the server waits for its connections to close.
    """
    app = FastAPI(
        title="vai",
        version=version("vai-engine"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        middleware=[Middleware(Guard)],
        # The pages for people would load their scripts from another host.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.doors = doors
    app.state.options = HttpOptions(heartbeat_seconds, stall_seconds, max_body_bytes)
    app.state.streams = Streams()
    problems.install(app)
    app.include_router(health.root)
    app.include_router(metrics.router)
    app.include_router(webhooks.router)
    app.router.routes += quick.routes("/api/v1")
    for module in _NOUNS:
        app.include_router(module.router, prefix="/api/v1")
    _describe(app)
    return app


def create_watch_app(doors: Doors) -> FastAPI:
    """The ASGI application of a process without the API: `/health` and `/metrics`, to the same people as there."""
    app = FastAPI(
        title="vai",
        version=version("vai-engine"),
        openapi_url=None,
        middleware=[Middleware(Guard)],
        redirect_slashes=False,
    )
    app.state.doors = doors
    problems.install(app)
    app.add_api_route("/health", health.get_health)
    app.include_router(metrics.router)
    return app


def end_streams(app: FastAPI) -> None:
    """End every open event stream, so that the server can stop. Call on the event loop."""
    app.state.streams.end()


def _describe(app: FastAPI) -> None:
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document.build(app))
        return made

    app.openapi = openapi  # type: ignore[method-assign]
