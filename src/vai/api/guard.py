"""The outermost layer: counts answers, and an exception that nobody foresaw is logged with an id, and answered without
its internals."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from vai.api.problems import Problem, problem_response

_log = logging.getLogger(__name__)


class Guard:
    """Pure ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; on an unforeseen exception answer 500, or cut an answer that has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                _count(scope, message, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            error_id = str(uuid7())
            _log.exception("Unforeseen error %s on %s %s", error_id, scope["method"], scope["path"])
            if started:
                raise
            await _answer(error_id)(scope, receive, watch)


def _count(scope: Scope, message: Message, seconds: float) -> None:
    metrics = scope["app"].state.doors.metrics
    if metrics is not None and "status" in message:
        # The operation's function is known once the router has found it; the quick ones are called after it.
        endpoint = scope.get("endpoint")
        metrics.on_request(getattr(endpoint, "__name__", "none").lstrip("_"), message["status"], seconds)


def _answer(error_id: str) -> ASGIApp:
    detail = f"Something went wrong inside. The server's log tells more under {error_id}."
    return problem_response(Problem(500, "internal-error", detail, more={"errorId": error_id}))
