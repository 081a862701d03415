"""One state of the model: the run's row, two engines, a client, and what may still go wrong. All hashable values.

Versions are kept as what matters of them: `fresh` says that a version somebody knows is still the row's. Whoever
changes the row makes it old for everybody else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from vai.domain.status import RetryMode


class Try(NamedTuple):
    """One execution of a step: its `number`-th in this attempt of the run."""

    key: str
    attempt: int
    number: int


class Report(NamedTuple):
    """What became of an execution: completed, failed, stopped, interrupted, waits, or asks a person."""

    of: Try
    outcome: str


class Order(NamedTuple):
    """A command, as a value that can be hashed; `Machine` makes the real one of it."""

    kind: str
    reports: tuple[Report, ...] = ()
    may_start: bool = True
    key: str | None = None
    mode: str = RetryMode.FROM_FAILED.value
    decision_id: str = ""
    approved: bool = True


class Write(NamedTuple):
    """A change on its way to the store: decided on run state `base`, it makes `run` of it."""

    base: int
    run: int
    started: tuple[Try, ...]
    release: bool


class Row(NamedTuple):
    """What is durable. `owner`: an engine's slot, `former` of it (an id that is no more), or None."""

    run: int
    owner: int | None


class Phase(StrEnum):
    """Where a driver stands with its commit."""

    IDLE = "idle"
    SENT = "sent"  # decided and on its way; a crash may lose it or leave it on its way
    LANDED = "landed"  # durable, and the driver has not heard so

    __hash__ = str.__hash__  # an enum's own is slow


class Driver(NamedTuple):
    """One run in the hands of an engine: its copy of the run, what it executes, and its commit."""

    run: int
    fresh: bool = True
    working: tuple[Try, ...] = ()
    inbox: tuple[Report, ...] = ()
    phase: Phase = Phase.IDLE
    order: Order | None = None
    write: Write | None = None
    draining: bool = False
    handing_back: bool = False


class Lease(StrEnum):
    """How the store sees an engine."""

    GOOD = "good"
    EXPIRED = "expired"  # nobody has looked yet: it still holds what it holds
    BURIED = "buried"  # its row is gone; it learns so when it renews

    __hash__ = str.__hash__


class Engine(NamedTuple):
    """One process. `ghost`: a write that was left on its way by an earlier driver, or by a cut connection, and
    whether that was under a former id of the engine."""

    lease: Lease = Lease.GOOD
    stopping: bool = False
    driver: Driver | None = None
    ghost: Write | None = None
    ghost_is_former: bool = False


class Client(NamedTuple):
    """A person: the command that is being decided or written, if any."""

    order: Order | None = None
    write: Write | None = None
    fresh: bool = True


class Budget(NamedTuple):
    """What may still be asked and go wrong."""

    commands: int = 0
    crashes: int = 0
    expiries: int = 0
    losses: int = 0
    stops: int = 0


class World(NamedTuple):
    """Everything. `begun` are the tries whose work ever began; `retries` counts the retries that were accepted."""

    row: Row
    budget: Budget
    engines: tuple[Engine, Engine] = (Engine(), Engine())
    client: Client = Client()
    begun: frozenset[Try] = frozenset()
    retries: int = 0


class Move(NamedTuple):
    """A step of the model. `is_fair`: it will be taken some day; what is not may never happen."""

    name: str
    after: World
    is_fair: bool = True


class Violation(Exception):
    """Something happened that must not."""


def former(slot: int) -> int:
    """The owner that an id of this engine has become which is no more."""
    return slot + 2


def with_engine(world: World, slot: int, engine: Engine) -> World:
    """The world with this engine replaced."""
    first, second = world.engines
    return world._replace(engines=(engine, second) if slot == 0 else (first, engine))


def with_driver(world: World, slot: int, driver: Driver | None) -> World:
    """The world with this engine's driver replaced."""
    return with_engine(world, slot, world.engines[slot]._replace(driver=driver))


def mirrored(world: World) -> World:
    """The same world with the names of the two engines exchanged."""
    first, second = world.engines
    owner = None if world.row.owner is None else world.row.owner ^ 1
    return world._replace(engines=(second, first), row=world.row._replace(owner=owner))
