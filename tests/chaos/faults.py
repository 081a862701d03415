"""What is done to the system. Each fault lasts a while, is undone, and leaves a line of what it did."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable

from tests.chaos.cluster import Cluster

Fault = Callable[[Cluster, random.Random], str]


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def kill_a_process(cluster: Cluster, chance: random.Random) -> str:
    """kill -9 of a server or a worker; it is started again at once."""
    node = chance.choice(cluster.nodes)
    node.send(signal.SIGKILL)
    return f"killed {node.name}"


def kill_every_process(cluster: Cluster, chance: random.Random) -> str:
    """kill -9 of all of them together."""
    for node in cluster.nodes:
        node.send(signal.SIGKILL)
    return "killed everything"


def stop_a_process(cluster: Cluster, chance: random.Random) -> str:
    """SIGTERM: it hands over what it holds and ends."""
    node = chance.choice(cluster.nodes)
    node.send(signal.SIGTERM)
    return f"stopped {node.name}"


def pause_a_process(cluster: Cluster, chance: random.Random) -> str:
    """SIGSTOP for longer than its lease, then SIGCONT: it wakes up and believes that it still holds its runs."""
    node = chance.choice(cluster.nodes)
    node.send(signal.SIGSTOP)
    _wait(3.0)
    node.send(signal.SIGCONT)
    return f"paused {node.name} past its lease"


def move_a_clock(cluster: Cluster, chance: random.Random) -> str:
    """A process's wall clock jumps, forwards or back, and later back again.

    Never far ahead: a timer that is set on a clock an hour ahead is an hour late by the right one, as promised.
    """
    node, ahead = chance.choice(cluster.nodes), chance.choice([-3_600_000, -20_000, 20_000])
    node.clock.write_text(str(ahead))
    _wait(1.5)
    node.clock.write_text("0")
    return f"moved the clock of {node.name} by {ahead / 1000:g} s and back"


def kill_the_database(cluster: Cluster, chance: random.Random) -> str:
    """kill -9 of PostgreSQL, and its restart."""
    if cluster.postgres is None:
        return kill_every_process(cluster, chance)
    cluster.postgres.kill()
    _wait(chance.uniform(0, 1.5))
    cluster.postgres.start()
    return "killed PostgreSQL and started it again"


def cut_the_line(cluster: Cluster, chance: random.Random) -> str:
    """The network between the processes and the database is gone for a while."""
    if cluster.proxy is None:
        return kill_a_process(cluster, chance)
    cluster.proxy.cut()
    _wait(chance.uniform(0.1, 3.0))
    cluster.proxy.mend()
    return "cut the line to the database for a while"


def slow_the_line(cluster: Cluster, chance: random.Random) -> str:
    """The network between the processes and the database is slow for a while."""
    if cluster.proxy is None:
        return pause_a_process(cluster, chance)
    cluster.proxy.slow(chance.uniform(0.02, 0.2))
    _wait(2.0)
    cluster.proxy.mend()
    return "slowed the line to the database"


def fill_the_disk(cluster: Cluster, chance: random.Random) -> str:
    """The disk under the database is full for a while."""
    if cluster.disk is None:
        return stop_a_process(cluster, chance)
    cluster.disk.fill()
    try:
        _wait(chance.uniform(0.5, 2.0))
    finally:
        cluster.disk.make_room()
    return "filled the disk for a while"


FAULTS: tuple[Fault, ...] = (
    kill_a_process,
    kill_every_process,
    stop_a_process,
    pause_a_process,
    move_a_clock,
    kill_the_database,
    cut_the_line,
    slow_the_line,
    fill_the_disk,
)
