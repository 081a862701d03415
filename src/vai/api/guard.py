"""The last net: an exception that nobody foresaw is logged with an id, and answered without its internals."""

import logging

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

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            error_id = str(uuid7())
            _log.exception("Unforeseen error %s on %s %s", error_id, scope["method"], scope["path"])
            if started:
                raise
            await _answer(error_id)(scope, receive, send)


def _answer(error_id: str) -> ASGIApp:
    detail = f"Something went wrong inside. The server's log tells more under {error_id}."
    return problem_response(Problem(500, "internal-error", detail, more={"errorId": error_id}))
