"""The small runs that are explored, and how much may be asked and go wrong in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.domain.world import step
from tests.model.world import Budget, Order
from vai.domain.graph import Graph, RetryPolicy
from vai.domain.status import OnInterrupt, RetryMode, RunWhen

CANCEL = Order("cancel")
AGAIN = Order("retry")
FULL = Order("retry", mode=RetryMode.FULL.value)


def again_from(key: str) -> Order:
    """A retry from this step."""
    return Order("retry", mode=RetryMode.FROM_STEP.value, key=key)


@dataclass(frozen=True)
class Scenario:
    """A graph, what its steps may report (`completed` where nothing is said), and what people may ask.

    `budget` is the short form's, `deep` the long one's.
    """

    name: str
    graph: Graph
    budget: Budget
    deep: Budget
    orders: tuple[Order, ...] = (CANCEL,)
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    has_timers: bool = False


_EITHER = ("completed", "failed")
_AT_ONCE = RetryPolicy(max_attempts=2, initial_seconds=0.0, jitter=False)
_SOON = RetryPolicy(max_attempts=2, initial_seconds=1.0, jitter=False)

SCENARIOS = (
    Scenario(
        "single",
        Graph.of([step("a")]),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
        Budget(commands=2, crashes=2, expiries=1, losses=1),
        (CANCEL, AGAIN, FULL),
        {"a": _EITHER},
    ),
    Scenario(
        "chain",
        Graph.of([step("a"), step("b", "a")]),
        Budget(commands=1, crashes=1, expiries=1),
        Budget(commands=2, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN, again_from("b")),
        {"b": _EITHER},
    ),
    Scenario(
        "fork and join",
        Graph.of([step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")]),
        Budget(commands=1, crashes=1, losses=1),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
    ),
    Scenario(
        "failing fan",
        Graph.of([step("a"), step("b"), step("c", "a", "b", run_when=RunWhen.ANY_FAILED)]),
        Budget(commands=2, crashes=1, losses=1),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN),
        {"a": _EITHER},
    ),
    Scenario(
        "fail fast",
        Graph.of([step("a"), step("b")], fail_fast=True),
        Budget(commands=1, crashes=1, stops=1),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN),
        {"a": _EITHER},
    ),
    Scenario(
        "interrupt fails",
        Graph.of([step("a", on_interrupt=OnInterrupt.FAIL), step("b", "a", run_when=RunWhen.ALL_DONE)]),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
        Budget(commands=2, crashes=2, expiries=1, losses=1),
        (CANCEL, AGAIN),
    ),
    Scenario(
        "interrupt asks",
        Graph.of([step("a", on_interrupt=OnInterrupt.ASK), step("b", "a")]),
        Budget(commands=1, crashes=1, expiries=1),
        Budget(commands=1, crashes=1, expiries=1, losses=1, stops=1),
    ),
    Scenario(
        "wait",
        Graph.of([step("a"), step("b", "a")]),
        Budget(commands=1, expiries=1, losses=1),
        Budget(commands=1, crashes=2, expiries=1, losses=1),
        outcomes={"a": ("waits",)},
        has_timers=True,
    ),
    Scenario(
        "backoff",
        Graph.of([step("a", retry=_SOON)]),
        Budget(commands=2, crashes=1, losses=1),
        Budget(commands=2, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN),
        {"a": _EITHER},
        has_timers=True,
    ),
    Scenario(
        "again at once",
        Graph.of([step("a", retry=_AT_ONCE)]),
        Budget(commands=2, crashes=1, losses=1),
        Budget(commands=2, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN),
        {"a": _EITHER},
    ),
    Scenario(
        "decision",
        Graph.of([step("a"), step("b"), step("c", "a", "b")]),
        Budget(commands=1, crashes=1, losses=1),
        Budget(commands=1, crashes=1, expiries=1, losses=1),
        (CANCEL, AGAIN),
        {"a": ("asks",)},
    ),
)
