"""Visits every state that can be reached, breadth first, and then asks of each whether the run must end from there."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.model.around import client_moves, faults, time_passes
from tests.model.engine import engine_moves
from tests.model.store import Model
from tests.model.world import Lease, Move, Row, Violation, World, former, mirrored


@dataclass(frozen=True)
class Explored:
    """How much there was, and how many of the states are final."""

    states: int
    transitions: int
    final: int
    run_states: int


class Counterexample(Exception):
    """What must not be, with the shortest way there."""

    def __init__(self, rule: str, way: list[str], world: World) -> None:
        lines = "\n".join(f"  {number}. {name}" for number, name in enumerate(way, 1))
        super().__init__(f"Not so: {rule}.\n{lines}\n  {world}")
        self.rule = rule
        self.way = way


def explore(model: Model, *, most: int = 0) -> Explored:
    """Everything that can happen in the model's scenario. Raises Counterexample. `most`: states, to stop at."""
    return _Exploration(model).run(most)


class _Exploration:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._worlds: list[World] = []
        self._numbers: dict[World, int] = {}
        self._came_from = array("q")  # per state: the state it was first reached from
        self._sources, self._targets = array("q"), array("q")  # fair moves
        self._transitions = 0

    def run(self, most: int) -> Explored:
        self._add(World(Row(self._model.machine.initial, None), self._model.budget), 0)
        at = 0
        while at < len(self._worlds):
            self._expand(at)
            at += 1
            if most and at >= most:
                raise RuntimeError(f"more than {most} states")
        ends = self._ends()
        for number, must_end in enumerate(ends):
            if not must_end:
                self._refute(number, "from every state, when no more goes wrong, the run comes to its end")
        final = sum(self._is_final(number) for number in range(len(ends)))
        return Explored(len(ends), self._transitions, final, self._model.machine.size)

    def _add(self, world: World, came_from: int) -> int:
        world = canonical(world)
        number = self._numbers.get(world)
        if number is None:
            number = self._numbers[world] = len(self._worlds)
            self._worlds.append(world)
            self._came_from.append(came_from)
            rule = broken_rule(self._model, world)
            if rule is not None:
                self._refute(number, rule)
        return number

    def _expand(self, at: int) -> None:
        world = self._worlds[at]
        try:
            for move in moves(self._model, world):
                if move.after == world:
                    continue
                target = self._add(move.after, at)
                self._transitions += 1
                if move.is_fair and target != at:
                    self._sources.append(at)
                    self._targets.append(target)
        except Violation as violation:
            self._refute(at, str(violation))

    def _is_final(self, number: int) -> bool:
        return self._model.machine.facts(self._worlds[number].row.run).is_final

    def _ends(self) -> bytearray:
        """For each state, whether every path of fair moves from it leads to a final run: no dead end, no cycle."""
        size = len(self._worlds)
        open_moves, before = array("q", bytes(8 * size)), [array("q") for _ in range(size)]
        for source, target in zip(self._sources, self._targets, strict=True):
            open_moves[source] += 1
            before[target].append(source)
        ends = bytearray(size)
        found = [number for number in range(size) if self._is_final(number)]
        for number in found:
            ends[number] = 1
        while found:
            for source in before[found.pop()]:
                open_moves[source] -= 1
                if open_moves[source] == 0 and not ends[source]:
                    ends[source] = 1
                    found.append(source)
        return ends

    def _refute(self, number: int, rule: str) -> None:
        path = [number]
        while path[-1] != 0:
            path.append(self._came_from[path[-1]])
        path.reverse()
        way = [self._name(first, then) for first, then in pairwise(path)]
        raise Counterexample(rule, way, self._worlds[number])

    def _name(self, first: int, then: int) -> str:
        target = self._worlds[then]
        found = moves(self._model, self._worlds[first])
        return next(move.name for move in found if canonical(move.after) == target)


def moves(model: Model, world: World) -> Iterator[Move]:
    """Whatever may happen next."""
    for slot in (0, 1):
        yield from engine_moves(model, world, slot)
        yield from faults(world, slot)
    yield from client_moves(model, world)
    yield from time_passes(model, world)


def canonical(world: World) -> World:
    """One of the two worlds that differ in the names of the engines alone."""
    first, second = map(hash, world.engines)
    # Two engines that are alike are told apart by which of them holds the run.
    is_odd = first == second and world.row.owner in (1, former(1))
    return mirrored(world) if first > second or is_odd else world


def broken_rule(model: Model, world: World) -> str | None:
    """A rule that this state breaks; the rules of each move are checked where it is made."""
    facts, owner = model.machine.facts(world.row.run), world.row.owner
    if facts.attempt != 1 + world.retries:
        return "a retry makes exactly one attempt"
    drivers = [engine.driver for engine in world.engines]
    at_work = [tried for driver in drivers if driver for tried in driver.working]
    if len(at_work) != len(set(at_work)):
        return "no two engines execute the same try of a step"
    for slot, driver in enumerate(drivers):
        buried = world.engines[slot].lease is Lease.BURIED
        if buried and owner == 1 - slot and driver and driver.fresh:
            return "a claim makes the version old that the former engine knows"
    return None
