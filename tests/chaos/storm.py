"""One storm: a cluster under load and faults for a while, then calm, then the proof."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.faults import FAULTS, kill_every_process
from tests.chaos.load import Load, definitions, publish
from tests.chaos.proof import Findings, prove

_HITS_WHAT_WORKS = 0.8


@dataclass(frozen=True)
class Plan:
    """How hard it blows: everything random in it follows from the seed."""

    seed: int
    database: str  # sqlite | postgresql
    runs: int  # at least so many are started
    seconds: float  # at least so long
    people: int = 3


def storm(plan: Plan, folder: Path) -> tuple[Findings, list[str]]:
    """Let it blow; what was found, and what was done."""
    chance = random.Random(plan.seed)
    ledger, gate = folder / "ledger", folder / "gate"
    with Cluster(folder, plan.database) as cluster:
        automations = publish(cluster, definitions(ledger, gate))
        load = Load(cluster, automations, plan.seed, plan.people)
        load.begin()
        try:
            done = [_hit_a_step_at_work(cluster, load, ledger, gate), *_weather(cluster, load, plan, chance)]
        finally:
            gate.touch()
            if cluster.proxy is not None:
                cluster.proxy.mend()
            load.end()
        cluster.wait_until_up(cluster.nodes)
        return prove(cluster, load.book, ledger), done


def _hit_a_step_at_work(cluster: Cluster, load: Load, ledger: Path, gate: Path) -> str:
    """Kill everything while a step is certainly at work; the rest of a storm hits what it hits."""
    run_id = load.start("held", "held", random.Random(0))
    began, pause = f"begin {run_id} ", threading.Event()
    while not (ledger.exists() and began in ledger.read_text()):
        pause.wait(0.05)
    word = kill_every_process(cluster, random.Random(0))
    gate.touch()
    return word


def _weather(cluster: Cluster, load: Load, plan: Plan, chance: random.Random) -> Iterator[str]:
    """One fault after the other, until there was enough of them; and one poisoned run at least."""
    load.start("poison", "poison", chance)
    until, pause = time.monotonic() + plan.seconds, threading.Event()
    while time.monotonic() < until or len(load.book.accepted) < plan.runs:
        pause.wait(chance.uniform(0.2, 1.5))
        # Mostly it hits what works, now and then what is just starting: else nothing would come up on a busy machine.
        if chance.random() < _HITS_WHAT_WORKS:
            cluster.wait_until_up(cluster.nodes)
        yield chance.choice(FAULTS)(cluster, chance)
