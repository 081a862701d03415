"""What steps can do: the registry of kinds, the built-in kinds, and users' own functions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vai.actions._registry import registry
    from vai.actions.loading import BadActions
    from vai.actions.masking import masked

__all__ = ["BadActions", "masked", "registry"]


def __getattr__(name: str) -> Any:
    """Bring a name in when it is first asked for: a child process needs one kind, not all of them."""
    if name == "registry":
        from vai.actions._registry import registry  # noqa: PLC0415

        return registry
    if name == "BadActions":
        from vai.actions.loading import BadActions  # noqa: PLC0415

        return BadActions
    if name == "masked":
        from vai.actions.masking import masked  # noqa: PLC0415

        return masked
    raise AttributeError(f"module 'vai.actions' has no attribute {name!r}")
