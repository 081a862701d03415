"""One storm: a cluster under load and faults for a while, then calm, then the proof."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.faults import FAULTS
from tests.chaos.load import Load, definitions, publish
from tests.chaos.proof import Findings, prove


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
    ledger, done = folder / "ledger", []
    with Cluster(folder, plan.database) as cluster:
        automations = publish(cluster, definitions(ledger, poison=True))
        load = Load(cluster, automations, plan.seed, plan.people)
        load.begin()
        until, pause = time.monotonic() + plan.seconds, threading.Event()
        try:
            while time.monotonic() < until or len(load.book.accepted) < plan.runs:
                pause.wait(chance.uniform(0.2, 1.5))
                done.append(chance.choice(FAULTS)(cluster, chance))
        finally:
            if cluster.proxy is not None:
                cluster.proxy.mend()
            load.end()
        cluster.wait_until_up(cluster.nodes)
        return prove(cluster, load.book, ledger), done
