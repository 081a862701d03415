"""Random graphs, and the conditions in them."""

from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

from vai.domain.graph import Condition, ExpressionFailed, Graph, RetryPolicy, StepSpec
from vai.domain.state import RunState
from vai.domain.status import OnInterrupt, RunWhen, StepStatus

T = TypeVar("T")


@dataclass(frozen=True)
class Says:
    """A condition that always answers the same."""

    answer: bool

    def __call__(self, state: RunState) -> bool:
        return self.answer


@dataclass(frozen=True)
class IfCompleted:
    """A condition on another step."""

    key: str

    def __call__(self, state: RunState) -> bool:
        return state.steps[self.key].status is StepStatus.COMPLETED


@dataclass(frozen=True)
class Raises:
    """A condition that cannot be evaluated."""

    def __call__(self, state: RunState) -> bool:
        raise ExpressionFailed("steps.x.result.rows > 0", "no such key: rows", ["steps", "input"])


@dataclass(frozen=True)
class Finds:
    """A forEach that always finds so many elements."""

    count: int

    def __call__(self, state: RunState) -> list[int]:
        return list(range(self.count))


@dataclass(frozen=True)
class FindsNothing:
    """A forEach that cannot be evaluated."""

    def __call__(self, state: RunState) -> list[int]:
        raise ExpressionFailed("steps.x.result.items", "it is no list", ["steps"])


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """The usual value in about two of three draws, so that runs get far before something odd happens."""
    return st.sampled_from([usual] * 2 * len(others) + list(others))


def conditions(upstream: list[str]) -> st.SearchStrategy[Condition | None]:
    odd: list[Condition] = [Says(True), Says(False), *(IfCompleted(key) for key in upstream), Raises()]
    return mostly(None, *odd)


policies = st.one_of(
    st.just(RetryPolicy()),
    st.builds(
        RetryPolicy,
        max_attempts=st.integers(2, 3),
        initial_seconds=st.sampled_from([0.0, 0.5, 5.0]),
        factor=st.sampled_from([1.0, 2.0]),
        jitter=st.booleans(),
        on=st.sampled_from([(), ("timeout",)]),
    ),
)


@st.composite
def graphs(draw: st.DrawFn, max_steps: int = 12) -> Graph:
    """A graph whose steps stand in any order, not only the one in which they can run."""
    keys = [f"s{i}" for i in range(draw(st.integers(0, max_steps)))]
    specs = []
    for i, key in enumerate(keys):
        upstream = draw(st.lists(st.sampled_from(keys[:i]), max_size=3, unique=True)) if i else []
        specs.append(
            StepSpec(
                key,
                "noop",
                depends_on=tuple(upstream),
                run_when=draw(mostly(RunWhen.NONE_FAILED, *RunWhen)),
                condition=draw(conditions(upstream)),
                retry=draw(policies),
                on_interrupt=draw(st.sampled_from(OnInterrupt)),
                for_each=draw(mostly(None, Finds(0), Finds(1), Finds(3), Finds(5), FindsNothing())),
                max_parallel=draw(st.integers(1, 4)),
            )
        )
    return Graph.of(
        draw(st.permutations(specs)),
        fail_fast=draw(mostly(False, True)),
        timeout_seconds=draw(mostly(None, 0.0004, 30.0)),
    )
