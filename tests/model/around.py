"""What comes from outside: people with their commands, faults, and time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.engine import anew
from tests.model.store import Model, land
from tests.model.world import (
    Client,
    Engine,
    Lease,
    Move,
    Order,
    Phase,
    World,
    Write,
    with_driver,
    with_engine,
)


def client_moves(model: Model, world: World) -> Iterator[Move]:
    """A person asks, or the door brings what was asked to its end: load, decide, commit, again after a conflict."""
    client, budget = world.client, world.budget
    if client.order is not None:
        yield Move(f"the door commits: {client.order.kind}", _door_commits(model, world, client.order))
        return
    for key, decision_id in model.machine.facts(world.row.run).asked:
        for approved in (True, False):
            order = Order("decide", key=key, decision_id=decision_id, approved=approved)
            yield Move(f"a person decides on {key}: {approved}", _ask(model, world, order))
    if budget.commands:
        spent = world._replace(budget=budget._replace(commands=budget.commands - 1))
        for order in model.scenario.orders:
            asked = _ask(model, spent, order)
            if asked is not spent:  # what is refused, or changes nothing, leaves no trace
                yield Move(f"a person asks: {order.kind} {order.mode} {order.key}", asked, is_fair=False)


def _ask(model: Model, world: World, order: Order) -> World:
    run = world.row.run
    decided = model.machine.decide(run, order)
    if decided is None or not decided.is_change:
        return world if world.client.order is None else world._replace(client=Client())
    write = Write(run, decided.run, decided.started, release=model.machine.facts(decided.run).is_final)
    return world._replace(client=Client(order, write))


def _door_commits(model: Model, world: World, order: Order) -> World:
    assert world.client.write is not None
    landed = land(model, world, world.client.write, None, fresh=world.client.fresh)
    return _ask(model, world, order) if landed is None else landed._replace(client=Client())


def faults(world: World, slot: int) -> Iterator[Move]:
    """What may go wrong with this engine, as long as the budget lasts; and it may be asked to stop."""
    engine, budget, name = world.engines[slot], world.budget, f"engine {slot}"
    driver = engine.driver
    if budget.crashes:
        spent = world._replace(budget=budget._replace(crashes=budget.crashes - 1))
        yield Move(f"{name} crashes, another begins in its place", anew(spent, slot), is_fair=False)
        if driver is not None and driver.phase is Phase.SENT:
            unsent = with_driver(spent, slot, None)
            yield Move(f"{name} crashes before it has sent", anew(unsent, slot), is_fair=False)
    if budget.expiries and engine.lease is Lease.GOOD:
        spent = world._replace(budget=budget._replace(expiries=budget.expiries - 1))
        expired = with_engine(spent, slot, engine._replace(lease=Lease.EXPIRED))
        yield Move(f"{name}'s lease runs out", expired, is_fair=False)
    if budget.losses and driver is not None and driver.phase is not Phase.IDLE:
        spent = world._replace(budget=budget._replace(losses=budget.losses - 1))
        yield Move(f"{name} is cut off from the database", _lose(spent, slot, engine), is_fair=False)
    if budget.stops and not engine.stopping:
        spent = world._replace(budget=budget._replace(stops=budget.stops - 1))
        draining = None if driver is None else driver._replace(draining=True)
        stopping = engine._replace(stopping=True, driver=draining)
        yield Move(f"{name} is asked to stop", with_engine(spent, slot, stopping), is_fair=False)


def _lose(world: World, slot: int, engine: Engine) -> World:
    """The answer does not come: the engine sends again, and what it had sent may have landed, or still arrive."""
    driver = engine.driver
    assert driver is not None
    if driver.phase is Phase.LANDED:
        return with_driver(world, slot, driver._replace(phase=Phase.SENT, fresh=False))
    if not driver.fresh:
        return world
    return with_engine(world, slot, engine._replace(ghost=driver.write, ghost_is_former=False))


def time_passes(model: Model, world: World) -> Iterator[Move]:
    """Whatever is due in the future, in the row or in anybody's copy, is due now."""
    if not model.scenario.has_timers:
        return
    first, second = (_engine_later(model, engine) for engine in world.engines)
    row = world.row._replace(run=model.machine.later(world.row.run))
    client = world.client._replace(write=_write_later(model, world.client.write))
    yield Move("time passes", world._replace(row=row, engines=(first, second), client=client))


def _engine_later(model: Model, engine: Engine) -> Engine:
    driver = engine.driver
    if driver is not None:
        write = _write_later(model, driver.write)
        driver = driver._replace(run=model.machine.later(driver.run), write=write)
    return engine._replace(driver=driver, ghost=_write_later(model, engine.ghost))


def _write_later(model: Model, write: Write | None) -> Write | None:
    if write is None:
        return None
    later = model.machine.later
    return write._replace(base=later(write.base), run=later(write.run))
