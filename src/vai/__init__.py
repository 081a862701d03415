"""vai: a self-hosted engine for automation runs. For your own actions: `from vai import Context, action`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vai.actions.marker import action
    from vai.ports import ActionContext as Context

__all__ = ["Context", "__version__", "action"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Bring a name in when it is first asked for, so that `import vai` alone costs nothing."""
    if name == "action":
        from vai.actions.marker import action  # noqa: PLC0415

        return action
    if name == "Context":
        from vai.ports import ActionContext  # noqa: PLC0415

        return ActionContext
    raise AttributeError(f"module 'vai' has no attribute {name!r}")
