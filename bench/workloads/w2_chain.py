"""W2: one three-step chain at a time. How long does a person wait, and how much of that lies between the steps?"""

import time
from collections.abc import Iterator
from itertools import pairwise

from bench.client import BadAnswer, Connection, publish
from bench.server import Server
from bench.shapes import chain
from bench.stats import Figures, percentile

STEPS = 3


def measure(server: Server, chains: int, passes: int) -> Iterator[Figures]:
    """`chains` chains a pass. From the submission to the final event at the client, and from a step's end to the
    next one's beginning as the steps themselves saw it; in ms."""
    with server.connect() as connection:
        path = publish(connection, "W2", chain(STEPS))
        for _ in range(10):
            connection.wait_final(connection.post(path, {})["id"])
        for _ in range(passes):
            yield _one(server, connection, path, chains)


def _one(server: Server, connection: Connection, path: str, chains: int) -> Figures:
    waits, runs = [], []
    cpu = server.cpu()
    for _ in range(chains):
        began = time.monotonic_ns()
        run_id = connection.post(path, {})["id"]
        status, ended = connection.wait_final(run_id)
        if status != "completed":
            raise BadAnswer(f"run {run_id} is {status}")
        waits.append((ended - began) / 1e6)
        runs.append(run_id)
    spent = [(now - then) * 1000 / (chains * STEPS) for now, then in zip(server.cpu(), cpu, strict=True)]
    gaps = [gap for run_id in runs for gap in _gaps(connection, run_id)]
    return {
        "p50_ms": percentile(waits, 0.5),
        "p99_ms": percentile(waits, 0.99),
        "gap_p50_ms": percentile(gaps, 0.5),
        "gap_p99_ms": percentile(gaps, 0.99),
        "cpu_ms_per_step": spent[0],
        "database_cpu_ms_per_step": sum(spent[1:]),
    }


def _gaps(connection: Connection, run_id: str) -> list[float]:
    steps = connection.get(f"/api/v1/automation-runs/{run_id}/steps")["steps"]
    results = [step["result"] for step in sorted(steps, key=lambda step: step["key"])]
    return [(after["began"] - before["ended"]) / 1e6 for before, after in pairwise(results)]
