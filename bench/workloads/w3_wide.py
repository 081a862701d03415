"""W3: one run that is very wide. Does the work for a step grow with the number of steps?"""

import time
from collections.abc import Iterator

from bench.client import BadAnswer, publish
from bench.server import Server
from bench.shapes import diamond
from bench.stats import Figures


def measure(server: Server, width: int, passes: int) -> Iterator[Figures]:
    """A run 1 → `width` → 1 a pass: seconds from its submission to its final event at the client."""
    with server.connect() as connection:
        path = publish(connection, f"W3 {width}", diamond("noop", width))
        connection.wait_final(connection.post(path, {})["id"])
        for _ in range(passes):
            cpu = server.cpu()
            began = time.monotonic_ns()
            run_id = connection.post(path, {})["id"]
            status, ended = connection.wait_final(run_id)
            spent = [(now - then) * 1000 / (width + 2) for now, then in zip(server.cpu(), cpu, strict=True)]
            if status != "completed":
                raise BadAnswer(f"run {run_id} is {status}")
            yield {
                "seconds": (ended - began) / 1e9,
                "cpu_ms_per_step": spent[0],
                "database_cpu_ms_per_step": sum(spent[1:]),
            }
