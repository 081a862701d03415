"""W4: from nothing to the first completed run, and what the process takes while it has nothing to do."""

import time
from contextlib import AbstractContextManager

from bench.client import publish
from bench.server import Server
from bench.shapes import chain
from bench.stats import Figures


def measure(start: AbstractContextManager[Server], idle_seconds: float) -> Figures:
    """One pass: seconds from the process's start (empty database, migrations included) to the first run's end;
    after `idle_seconds` its memory in MB, and its CPU over as long again in %."""
    began = time.monotonic_ns()
    with start as server, server.connect() as connection:
        healthy = time.monotonic_ns()
        path = publish(connection, "W4", chain(3))
        _, ended = connection.wait_final(connection.post(path, {})["id"])
        time.sleep(idle_seconds)
        memory, cpu, since = server.memory(), server.cpu(), time.monotonic()
        time.sleep(idle_seconds)
        spent = [now - then for now, then in zip(server.cpu(), cpu, strict=True)]
        share = 100 / (time.monotonic() - since)
    return {
        "seconds": (ended - began) / 1e9,
        "healthy_seconds": (healthy - began) / 1e9,
        "memory_mb": memory[0],
        "database_memory_mb": sum(memory[1:]),
        "idle_cpu_percent": spent[0] * share,
        "database_idle_cpu_percent": sum(spent[1:]) * share,
    }
