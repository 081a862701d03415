"""The guarded store: a write lands if the version is the expected one and, for an engine, if it holds the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.model.machine import Machine
from tests.model.scenarios import Scenario
from tests.model.world import Budget, Engine, Lease, Row, Violation, World, Write, former, with_engine


class Mutation(StrEnum):
    """What can be broken on purpose, to see that it is found."""

    NO_VERSION_GUARD = "no version guard"
    NO_LEASE_GUARD = "no lease guard"
    NO_BUMP = "a claim leaves the version as it is"
    NO_TRY_NUMBER = "a report counts for whichever try is at work"
    ACT_FIRST = "a step begins before its start is durable"
    FORGET_LANDED = "what landed unheard is not begun"
    FORGET_OTHERS = "what another engine started meanwhile is not interrupted"
    BEGIN_OTHERS = "what another engine started meanwhile is begun again"
    BEGIN_ALL = "the same when the run is taken over or handed back"
    KEEP_LEASE = "the run is not released at its rest"


@dataclass(frozen=True)
class Model:
    """What is explored: a scenario, over the real state machine, perhaps with a mutation."""

    scenario: Scenario
    machine: Machine
    budget: Budget
    mutation: Mutation | None = None

    @classmethod
    def of(cls, scenario: Scenario, mutation: Mutation | None = None, *, deep: bool = False) -> Model:
        """The scenario, ready to be explored within its short or its deep budget."""
        by_try = mutation is not Mutation.NO_TRY_NUMBER
        budget = scenario.deep if deep else scenario.budget
        return cls(scenario, Machine(scenario.graph, by_try=by_try), budget, mutation)


def land(model: Model, world: World, write: Write, owner: int | None, *, fresh: bool) -> World | None:
    """The world after the write, old for all who knew it before; None: it is refused. Raises Violation."""
    row = world.row
    if not fresh and model.mutation is not Mutation.NO_VERSION_GUARD:
        return None
    if owner not in (None, row.owner) and model.mutation is not Mutation.NO_LEASE_GUARD:
        return None
    if row.run != write.base:
        raise Violation("a write that is accepted continues from what is stored")
    if owner not in (None, row.owner):
        raise Violation("an engine whose write is accepted holds the run")
    retried = model.machine.facts(write.run).attempt - model.machine.facts(row.run).attempt
    after = Row(write.run, None if write.release else row.owner)
    return aged(model, world)._replace(row=after, retries=world.retries + retried)


def aged(model: Model, world: World) -> World:
    """The version has changed: nobody knows it."""
    first, second = world.engines
    engines = (_aged(model, first), _aged(model, second))
    client = world.client._replace(fresh=False) if world.client.order else world.client
    return world._replace(engines=engines, client=client)


def _aged(model: Model, engine: Engine) -> Engine:
    if engine.ghost is not None and model.mutation is not Mutation.NO_VERSION_GUARD:
        # A write on its way for an old version can only be refused, and nobody waits for the answer.
        engine = engine._replace(ghost=None, ghost_is_former=False)
    if engine.driver is None or not engine.driver.fresh:
        return engine
    return engine._replace(driver=engine.driver._replace(fresh=False))


def claim(model: Model, world: World, slot: int) -> World:
    """The engine looks for work: it buries engines that are dead or expired, then takes the run if it may."""
    other = 1 - slot
    owner, gone = world.row.owner, {former(slot), former(other)}
    if world.engines[other].lease is Lease.EXPIRED:
        world = with_engine(world, other, world.engines[other]._replace(lease=Lease.BURIED))
        gone.add(other)
    if owner in gone:
        world = world._replace(row=world.row._replace(owner=None))
    if world.row.owner is not None or not model.machine.facts(world.row.run).is_claimable:
        return world
    if model.mutation is not Mutation.NO_BUMP:
        world = aged(model, world)
    return world._replace(row=world.row._replace(owner=slot))


def give_back(model: Model, world: World, slot: int) -> World:
    """The engine retires: nobody holds what it held."""
    if world.row.owner != slot:
        return world
    return aged(model, world)._replace(row=world.row._replace(owner=None))
