"""The graphs that the workloads run, as an automation's steps."""

from typing import Any

Steps = list[dict[str, Any]]


def diamond(kind: str, width: int) -> Steps:
    """One step, then `width` in parallel, then one."""
    middle = [{"key": f"m{n}", "kind": kind, "dependsOn": ["first"]} for n in range(width)]
    last = {"key": "last", "kind": kind, "dependsOn": [step["key"] for step in middle]}
    return [{"key": "first", "kind": kind}, *middle, last]


def chain(length: int, *, pause_ms: tuple[int, int] = (0, 0)) -> Steps:
    """Steps one after another that stamp their times; the pauses of the first and of each other step."""
    steps: Steps = []
    for n in range(length):
        pause = pause_ms[0] if n == 0 else pause_ms[1]
        step: dict[str, Any] = {"key": f"s{n}", "kind": "stamp", "definition": {"pause_ms": pause}}
        if n:
            step["dependsOn"] = [f"s{n - 1}"]
        steps.append(step)
    return steps
