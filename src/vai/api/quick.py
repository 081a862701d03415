"""The operations that are asked most, past the framework's handling of parameters, which takes longer than they do.

They are the very functions of `routes`. Whatever is out of the ordinary (a query, a header that has to be checked, an
id that is odd or missing) does not match here, and is the framework's to answer.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from vai.api.credentials import principal
from vai.api.routes import automation_runs, events, runs

_CHECKED = b"last-event-id"  # the one header that an operation has the framework read

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class _Quick(Route):
    """A route for ordinary requests alone; for all others it is as if it were not there."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `Route.matches`; never partial, so that the framework says what else is allowed."""
        match, child_scope = super().matches(scope)
        is_plain = match is Match.FULL and not scope["query_string"] and scope["method"] != "HEAD"
        if is_plain and all(name != _CHECKED for name, _ in scope["headers"]):
            return match, child_scope
        return Match.NONE, {}


async def _start_run(request: Request) -> Response:
    return await automation_runs.start_run(request, await principal(request), request.path_params["id"])


async def _get_run(request: Request) -> Response:
    return await runs.get_run(request, await principal(request), request.path_params["id"])


async def _stream_run_events(request: Request) -> Response:
    return await events.stream_run_events(request, await principal(request), request.path_params["id"])


def routes(prefix: str) -> list[BaseRoute]:
    """The quick routes, to stand before those of the framework."""
    quick: tuple[tuple[str, str, Endpoint], ...] = (
        ("POST", "/automations/{id:uuid}/runs", _start_run),
        ("GET", "/automation-runs/{id:uuid}", _get_run),
        ("GET", "/automation-runs/{id:uuid}/events", _stream_run_events),
    )
    return [_Quick(prefix + path, endpoint, methods=[method]) for method, path, endpoint in quick]
