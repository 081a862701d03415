"""Steps, shortly said."""

from typing import Any


def step(key: str, kind: str, *needs: str, **more: Any) -> dict[str, Any]:
    """A step of a config."""
    return {"key": key, "kind": kind, "dependsOn": list(needs), **more}
