"""A user's function inside a child process."""

import asyncio
import inspect
import signal
import threading
from typing import Any

from vai.actions.child_context import ChildContext
from vai.actions.functions import FunctionAction, to_result
from vai.actions.loading import marked_functions
from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionFailed, ActionStopped


class Interrupted(BaseException):
    """Raised in the main thread to end a function; `except Exception` in it does not hold it back."""


def run(request: dict[str, Any], context: ChildContext) -> Any:
    """Call the function `kind` of `source` with `definition`; its result as JSON-able data."""
    action = _find(request["source"], request["kind"])
    arguments = action.arguments(request["definition"], context)
    if inspect.iscoroutinefunction(action.function):
        work = action.function(**arguments)
        value = asyncio.run(work if action.mark.cooperative else stop_on_cancel(work, context))
    else:
        value = _call(action, arguments, context)
    return to_result(value, action.kind)


def _find(source: str, kind: str) -> FunctionAction:
    for function in marked_functions(source):
        action = FunctionAction(function, source, None)
        if action.kind == kind:
            return action
    raise ActionFailed("function_gone", f"{source} has no action {kind!r} any more.")


def _call(action: FunctionAction, arguments: dict[str, Any], context: ChildContext) -> Any:
    if not action.mark.cooperative:
        main_thread = threading.main_thread().ident or 0
        signal.signal(signal.SIGUSR1, _interrupt)
        context.on_cancel(lambda: signal.pthread_kill(main_thread, signal.SIGUSR1))
    try:
        return action.function(**arguments)
    except Interrupted:
        raise ActionStopped from None
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _interrupt(*_: Any) -> None:
    raise Interrupted
