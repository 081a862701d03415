"""Every scenario within its short budget; and each mutation of the protocol is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.explore import Counterexample, explore
from tests.model.scenarios import SCENARIOS, Scenario
from tests.model.store import Model, Mutation
from tests.model.world import Budget

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

CONTINUES = "a write that is accepted continues from what is stored"
HOLDS = "an engine whose write is accepted holds the run"
OLD = "a claim makes the version old that the former engine knows"
ITS_OWN = "a step at work moves by a report of its very try"
DURABLE = "the work of a step begins after its start is durable"
ONCE = "the work of each try begins at most once"
ENDS = "from every state, when no more goes wrong, the run comes to its end"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_the_rules_hold_and_the_run_ends(scenario: Scenario) -> None:
    found = explore(Model.of(scenario))
    print(f"{scenario.name}: {found.states} states, {found.transitions} transitions")
    assert 0 < found.final < found.states < found.transitions
    assert found.run_states > 10, "the state machine was hardly used"


@pytest.mark.parametrize(
    "mutation, name, budget, rule",
    [
        (Mutation.NO_VERSION_GUARD, "single", Budget(commands=1), CONTINUES),
        (Mutation.NO_LEASE_GUARD, "backoff", Budget(expiries=1), HOLDS),
        (Mutation.NO_BUMP, "single", Budget(expiries=1), OLD),
        (Mutation.NO_TRY_NUMBER, "again at once", Budget(losses=1), ITS_OWN),
        (Mutation.ACT_FIRST, "single", Budget(), DURABLE),
        (Mutation.FORGET_LANDED, "single", Budget(losses=1), ENDS),
        (Mutation.FORGET_OTHERS, "wait", Budget(expiries=1, losses=1), ENDS),
        (Mutation.FORGET_OTHERS, "backoff", Budget(commands=2, crashes=1), ENDS),
        (Mutation.BEGIN_OTHERS, "wait", Budget(expiries=1, losses=1), ONCE),
        (Mutation.BEGIN_ALL, "single", Budget(expiries=1, commands=1), ONCE),
        (Mutation.KEEP_LEASE, "single", Budget(commands=1), ENDS),
    ],
    ids=str,
)
def test_a_fault_in_the_protocol_is_found(mutation: Mutation, name: str, budget: Budget, rule: str) -> None:
    scenario = replace(BY_NAME[name], budget=budget)
    explore(Model.of(scenario))
    with pytest.raises(Counterexample) as found:
        explore(Model.of(scenario, mutation))
    assert found.value.rule == rule
    assert str(found.value).count("\n") > len(found.value.way)


def test_the_same_model_is_explored_alike_each_time() -> None:
    scenario = BY_NAME["fork and join"]
    assert explore(Model.of(scenario)) == explore(Model.of(scenario))
