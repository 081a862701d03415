"""The shape of an automation version: its steps and what hangs on what. Shared by all runs of the version."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from vai.domain.status import OnInterrupt, RunWhen

if TYPE_CHECKING:
    from vai.domain.state import RunState

Condition = Callable[["RunState"], bool]
"""A step's `if`, compiled: pure; raises `ExpressionFailed` when it cannot be evaluated."""

ForEach = Callable[["RunState"], list[Any]]
"""A step's `forEach`, compiled: pure; raises `ExpressionFailed` when it gives no list that a step may run over."""


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
    for_each: ForEach | None = None
    max_parallel: int = 1  # elements of forEach under way at once
    parent: str | None = None  # an element's: the step with the forEach
    index: int = 0  # an element's place


class Graph(msgspec.Struct, frozen=True):
    """The steps of a version in the order of their definition, with what hangs on each.

    A run whose forEach steps have begun has a graph of its own, in which their elements are steps too.
    """

    steps: Mapping[str, StepSpec]
    dependents: Mapping[str, tuple[str, ...]]
    fail_fast: bool = False
    timeout_seconds: float | None = None
    elements: Mapping[str, tuple[str, ...]] = {}  # the steps that a forEach step has become

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

    def expanded(self, key: str, count: int) -> "Graph":
        """The graph in which step `key` runs over so many elements, each a step `key[0]` … right behind it."""
        spec, steps = self.steps[key], {}
        elements = tuple(element_key(key, i) for i in range(count))
        for known, other in self.collapsed(key).steps.items():
            steps[known] = other
            if known == key:
                for i, element in enumerate(elements):
                    steps[element] = _element(spec, element, i)
        dependents = {**self.dependents, **dict.fromkeys(elements, ())}
        return Graph(steps, dependents, self.fail_fast, self.timeout_seconds, {**self.elements, key: elements})

    def collapsed(self, key: str) -> "Graph":
        """The graph in which step `key` has no elements yet."""
        gone = self.elements.get(key)
        if gone is None:
            return self
        steps, dependents, elements = dict(self.steps), dict(self.dependents), dict(self.elements)
        for element in gone:
            del steps[element], dependents[element]
        del elements[key]
        return Graph(steps, dependents, self.fail_fast, self.timeout_seconds, elements)

    def downstream(self, keys: Iterable[str], barred: Container[str] = ()) -> set[str]:
        """`keys` and everything that hangs on them, near or far, but for `barred` ones and what is behind these.

        A forEach step hangs on its elements.
        """
        reached: set[str] = set()
        frontier = list(keys)
        while frontier:
            key = frontier.pop()
            if key not in reached:
                reached.add(key)
                frontier.extend(down for down in self._behind(key) if down not in barred)
        return reached

    def _behind(self, key: str) -> tuple[str, ...]:
        parent = self.steps[key].parent
        return self.dependents[key] if parent is None else (parent,)


def element_key(key: str, index: int) -> str:
    """The key of the step that an element of a forEach step is."""
    return f"{key}[{index}]"


def _element(spec: StepSpec, key: str, index: int) -> StepSpec:
    """An element is its step without what decided about the step as a whole."""
    return msgspec.structs.replace(
        spec,
        key=key,
        name=None if spec.name is None else element_key(spec.name, index),
        depends_on=(),
        run_when=RunWhen.ALL_SUCCEEDED,
        condition=None,
        for_each=None,
        parent=spec.key,
        index=index,
    )
