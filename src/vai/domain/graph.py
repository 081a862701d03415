"""The shape of an automation version: its steps and what hangs on what. Shared by all runs of the version."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from vai.domain.status import OnInterrupt, RunWhen

if TYPE_CHECKING:
    from vai.domain.state import RunState

Condition = Callable[["RunState"], bool]
"""A step's `if`, compiled: pure; raises `ExpressionFailed` when it cannot be evaluated."""


class ExpressionFailed(Exception):
    """An expression could not be evaluated: the expression, the reason and the names in scope."""

    def __init__(self, expression: str, reason: str, names: Iterable[str] = ()) -> None:
        super().__init__(f"The expression {expression!r} failed: {reason}")
        self.details: dict[str, Any] = {
            "expression": expression,
            "reason": reason,
            "names": sorted(names),
        }


class RetryPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """When a failed step is tried again by itself. Times in seconds."""

    max_attempts: int = 1
    initial_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 60.0
    jitter: bool = True
    on: tuple[str, ...] = ()  # error types; empty: every error that calls itself retryable


class StepSpec(msgspec.Struct, frozen=True):
    """One step as the version defines it."""

    key: str
    kind: str
    name: str | None = None
    definition: Any = None  # the template: expressions not yet evaluated
    depends_on: tuple[str, ...] = ()
    run_when: RunWhen = RunWhen.ALL_SUCCEEDED
    condition: Condition | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None
    grace_seconds: float = 10.0
    on_interrupt: OnInterrupt = OnInterrupt.RETRY
    runs_on: str | None = None  # the label of the machines that may execute it; None: any


class Graph(msgspec.Struct, frozen=True):
    """The steps of a version in the order of their definition, with what hangs on each."""

    steps: Mapping[str, StepSpec]
    dependents: Mapping[str, tuple[str, ...]]
    fail_fast: bool = False
    timeout_seconds: float | None = None

    @classmethod
    def of(cls, steps: Iterable[StepSpec], *, fail_fast: bool = False, timeout_seconds: float | None = None) -> "Graph":
        """Build the graph of `steps`, whose dependencies must exist and have no cycle (checked elsewhere)."""
        specs = {step.key: step for step in steps}
        dependents: dict[str, list[str]] = {key: [] for key in specs}
        for spec in specs.values():
            for upstream in spec.depends_on:
                dependents[upstream].append(spec.key)
        frozen = {key: tuple(keys) for key, keys in dependents.items()}
        return cls(specs, frozen, fail_fast, timeout_seconds)

    def downstream(self, keys: Iterable[str], barred: Container[str] = ()) -> set[str]:
        """`keys` and everything that hangs on them, near or far, but for `barred` ones and what is behind these."""
        reached: set[str] = set()
        frontier = list(keys)
        while frontier:
            key = frontier.pop()
            if key not in reached:
                reached.add(key)
                frontier.extend(down for down in self.dependents[key] if down not in barred)
        return reached
