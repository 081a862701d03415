"""`@vai.action`: marks a function as a kind of step. It registers nothing: the loader collects."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

MARK = "__vai_action__"

Function = TypeVar("Function", bound=Callable[..., Any])


class Marked(msgspec.Struct, frozen=True):
    """What the decorator was told. `None` means: as the function itself says."""

    name: str | None = None
    process: bool = False
    grace_seconds: float | None = None
    title: str | None = None
    cooperative: bool = False


@overload
def action(function: Function, /) -> Function: ...
@overload
def action(
    *,
    name: str | None = None,
    process: bool = False,
    grace_seconds: float | None = None,
    title: str | None = None,
    cooperative: bool = False,
) -> Callable[[Function], Function]: ...
def action(function: Any = None, /, **options: Any) -> Any:
    """Make a function a kind of step. The function itself stays as it is and can be called as ever.

    Its name is the kind, its parameters are the definition (each needs a type), the first line of its
    docstring is the title, and what it returns is the step's result (anything that JSON can hold, also
    dataclasses, pydantic models and times). A parameter annotated `vai.Context` receives the context.
    To say how it failed raise `vai.ports.ActionFailed`; any other exception fails the step too.

    - An `async def` runs on the server's event loop, so it must not block. When the step is cancelled,
      `asyncio.CancelledError` is raised in it at once; with `cooperative=True` only its context tells it.
    - A `def` runs in a thread. A thread cannot be killed: it has to look at `context.cancelled`. If it does
      not, the step is cancelled after its grace all the same, and the thread is left behind until it returns.
    - With `process=True` it runs in a child process, which is really killed when its grace is over. On cancel
      an exception is raised in it; with `cooperative=True` only its context tells it.

    name: the kind, if not the function's name. title: what people see. grace_seconds: how long it may take
    to stop before it is killed (default: the step's own, 10 s).
    """
    mark = Marked(**options)

    def decorate(decorated: Any) -> Any:
        setattr(decorated, MARK, mark)
        return decorated

    return decorate if function is None else decorate(function)
