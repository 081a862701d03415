"""What steps can do: the registry of kinds, the built-in kinds, and users' own functions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vai.actions._registry import registry
    from vai.actions.loading import BadActions
    from vai.actions.masking import masked
    from vai.actions.verifying import try_connection

__all__ = ["BadActions", "masked", "registry", "try_connection"]


def __getattr__(name: str) -> Any:
    """Bring a name in when it is first asked for: a child process needs one kind, not all of them."""
    if name == "registry":
        from vai.actions._registry import registry  # noqa: PLC0415

        return registry
    if name == "BadActions":
        from vai.actions.loading import BadActions  # noqa: PLC0415

        return BadActions
    if name == "try_connection":
        from vai.actions.verifying import try_connection  # noqa: PLC0415

        return try_connection
    if name == "masked":
        from vai.actions.masking import masked  # noqa: PLC0415

        return masked
    raise AttributeError(f"module 'vai.actions' has no attribute {name!r}")
