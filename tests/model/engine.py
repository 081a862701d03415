"""What an engine does: claim, load, decide, commit, hear, act, reload on a conflict, hand back, renew, retire.

The protocol of `vai.engine.driver` and `vai.engine.engine`, with what is local to one engine taken as one move:
loading and deciding on what was loaded, hearing and acting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.model.store import Model, Mutation, claim, give_back, land
from tests.model.world import (
    Driver,
    Engine,
    Lease,
    Move,
    Order,
    Phase,
    Report,
    Row,
    Try,
    Violation,
    World,
    Write,
    former,
    with_driver,
    with_engine,
)


def engine_moves(model: Model, world: World, slot: int) -> Iterator[Move]:
    """All that this engine may do next."""
    engine, name = world.engines[slot], f"engine {slot}"
    if engine.lease is not Lease.BURIED and not engine.stopping:
        yield Move(f"{name} looks for work", claim(model, world, slot))
    if engine.lease is Lease.EXPIRED:
        yield Move(f"{name} renews", with_engine(world, slot, engine._replace(lease=Lease.GOOD)))
    if engine.lease is Lease.BURIED:
        yield Move(f"{name} begins anew", anew(world, slot, stopping=engine.stopping))
    if engine.ghost is not None:
        yield Move(f"a write that {name} left arrives", _ghost_lands(model, world, slot), is_fair=False)
    if engine.stopping and (engine.driver is None or engine.driver.handing_back):
        yield Move(f"{name} retires", anew(give_back(model, world, slot), slot))
    if engine.driver is not None:
        yield from _driver_moves(model, world, slot, engine.driver)
    elif world.row.owner == slot:
        yield Move(f"{name} takes the run up", _take_up(model, world, slot))


def _driver_moves(model: Model, world: World, slot: int, driver: Driver) -> Iterator[Move]:
    name = f"engine {slot}"
    for tried in driver.working:
        for outcome in _outcomes(model, driver, tried):
            yield Move(f"{name} is told: {tried.key} {outcome}", _report(world, slot, driver, tried, outcome))
    if driver.draining and not driver.handing_back:
        handing = driver._replace(handing_back=True)
        yield Move(f"{name} waits no longer for what is at work", with_driver(world, slot, handing))
    if driver.phase is Phase.SENT:
        yield Move(f"{name} commits", _commit(model, world, slot, driver))
    elif driver.phase is Phase.LANDED:
        yield Move(f"{name} hears that it landed", _hear(model, world, slot, driver))
    else:
        if not driver.fresh:
            yield Move(f"{name} looks afresh", _next(model, world, slot, driver, reload=True))
        if driver.inbox or driver.draining or driver.handing_back or model.machine.facts(driver.run).is_due:
            yield Move(f"{name} decides", _next(model, world, slot, driver))


def anew(world: World, slot: int, *, stopping: bool = False) -> World:
    """The engine goes on under a new id with nothing at hand. What it had sent may still arrive."""
    engine, owner = world.engines[slot], world.row.owner
    driver, ghost = engine.driver, engine.ghost
    if driver is not None and driver.phase is Phase.SENT and driver.fresh:
        ghost = driver.write
    fresh = Engine(stopping=stopping, ghost=ghost, ghost_is_former=ghost is not None)
    return with_engine(world, slot, fresh)._replace(row=Row(world.row.run, former(slot) if owner == slot else owner))


def _outcomes(model: Model, driver: Driver, tried: Try) -> tuple[str, ...]:
    usual = model.scenario.outcomes.get(tried.key, ("completed",))
    return (*usual, "stopped") if model.machine.facts(driver.run).is_stopping else usual


def _report(world: World, slot: int, driver: Driver, tried: Try, outcome: str) -> World:
    working = tuple(other for other in driver.working if other != tried)
    inbox = (*driver.inbox, Report(tried, outcome))
    return with_driver(world, slot, driver._replace(working=working, inbox=inbox))


def _take_up(model: Model, world: World, slot: int) -> World:
    run, draining = world.row.run, world.engines[slot].stopping
    kind = "start" if model.machine.facts(run).is_pending else "take_over"
    driver = Driver(run, draining=draining)
    return _step(model, world, slot, driver, Order("hand_back" if draining else kind))


def _next(model: Model, world: World, slot: int, driver: Driver, *, reload: bool = False) -> World:
    """Decide on what was reported: on the driver's copy, or on the run as it is now."""
    if driver.handing_back and not driver.inbox:
        driver, order = driver._replace(working=()), Order("hand_back")
    else:
        order = Order("advance", driver.inbox, may_start=not (driver.draining or driver.handing_back))
        driver = driver._replace(inbox=())
    return (_again if reload else _step)(model, world, slot, driver, order)


def _step(model: Model, world: World, slot: int, driver: Driver, order: Order) -> World:
    decided = model.machine.decide(driver.run, order)
    if decided is None:
        raise Violation("no command of an engine is refused")
    release = order.kind == "hand_back" or _may_rest(model, driver, decided.run)
    if not decided.is_change and not release:
        return with_driver(world, slot, driver._replace(phase=Phase.IDLE, order=None, write=None))
    release = release and model.mutation is not Mutation.KEEP_LEASE
    write = Write(driver.run, decided.run, decided.started, release)
    driver = driver._replace(phase=Phase.SENT, order=order, write=write)
    if model.mutation is Mutation.ACT_FIRST:
        world, driver = begin(model, world, driver, decided.started)
    return with_driver(world, slot, driver)


def _may_rest(model: Model, driver: Driver, run: int) -> bool:
    facts = model.machine.facts(run)
    if facts.is_final:
        return True
    if driver.working or facts.executing:
        return False
    return driver.draining or facts.may_park


def _commit(model: Model, world: World, slot: int, driver: Driver) -> World:
    assert driver.write is not None
    landed = land(model, world, driver.write, slot, fresh=driver.fresh)
    if landed is None:
        assert driver.order is not None
        return _again(model, world, slot, driver, driver.order)
    return with_driver(landed, slot, driver._replace(phase=Phase.LANDED, fresh=True))


def _ghost_lands(model: Model, world: World, slot: int) -> World:
    engine = world.engines[slot]
    assert engine.ghost is not None
    owner = former(slot) if engine.ghost_is_former else slot
    landed = land(model, world, engine.ghost, owner, fresh=True) or world
    return with_engine(landed, slot, landed.engines[slot]._replace(ghost=None, ghost_is_former=False))


def _again(model: Model, world: World, slot: int, driver: Driver, order: Order) -> World:
    """Somebody was faster: load, account for what runs, and decide on what is now."""
    if world.row.owner != slot:
        return with_driver(world, slot, None)
    driver = driver._replace(run=world.row.run, fresh=True)
    world, driver = _account_for_what_runs(model, world, driver, order)
    return _step(model, world, slot, driver, order)


def _account_for_what_runs(model: Model, world: World, driver: Driver, order: Order) -> tuple[World, Driver]:
    """Begin what the refused write started, for it had landed unheard; interrupt what another engine started."""
    if order.kind in ("take_over", "hand_back") and model.mutation is not Mutation.BEGIN_ALL:
        return world, driver
    at_work = {tried.key for tried in driver.working}
    told = {report.of for report in (*order.reports, *driver.inbox)}
    found = [t for t in model.machine.facts(driver.run).executing if t.key not in at_work and t not in told]
    started = driver.write.started if driver.write else ()
    ours = [tried for tried in found if tried in started]
    others = [tried for tried in found if tried not in started]
    if model.mutation in (Mutation.BEGIN_ALL, Mutation.BEGIN_OTHERS):
        ours, others = found, []
    world, driver = begin(model, world, driver, () if model.mutation is Mutation.FORGET_LANDED else ours)
    lost = () if model.mutation is Mutation.FORGET_OTHERS else tuple(Report(t, "interrupted") for t in others)
    return world, driver._replace(inbox=driver.inbox + lost)


def _hear(model: Model, world: World, slot: int, driver: Driver) -> World:
    write = driver.write
    assert write is not None
    driver = driver._replace(run=write.run, phase=Phase.IDLE, order=None, write=None)
    if model.mutation is not Mutation.ACT_FIRST:
        world, driver = begin(model, world, driver, write.started)
    return with_driver(world, slot, None if write.release else driver)


def begin(model: Model, world: World, driver: Driver, tries: Sequence[Try]) -> tuple[World, Driver]:
    """The work of these begins. Raises Violation when it must not."""
    for tried in tries:
        if not model.machine.has_started(world.row.run, tried):
            raise Violation("the work of a step begins after its start is durable")
        if tried in world.begun:
            raise Violation("the work of each try begins at most once")
        world = world._replace(begun=world.begun | {tried})
    working = tuple(sorted({*driver.working, *tries})) if tries else driver.working
    return world, driver._replace(working=working)
