"""W5, first half: the list of runs when very many are stored."""

import time
from collections.abc import Iterator

from bench.client import BadAnswer, Connection
from bench.server import Server
from bench.stats import Figures, percentile

_PATH = "/api/v1/automation-runs?limit=100"
QUERIES = {"list": "", "failed": "&status=failed", "two": "&status=failed&status=cancelled"}


def measure(server: Server, stored: int, requests: int, passes: int) -> Iterator[Figures]:
    """`requests` requests of each kind a pass; p50 and p99 in ms. `offset` reads the middle of `stored` runs."""
    queries = {**QUERIES, "offset": f"&offset={stored // 2}"}
    with server.connect() as connection:
        total = connection.get(_PATH)["total"]
        if total < stored:
            raise BadAnswer(f"the list counts {total} runs, not {stored}")
        for _ in range(passes):
            figures: dict[str, float] = {}
            for name, query in queries.items():
                times = _times(connection, _PATH + query, requests)
                figures[f"{name}_p50_ms"] = percentile(times, 0.5)
                figures[f"{name}_p99_ms"] = percentile(times, 0.99)
            yield figures


def _times(connection: Connection, path: str, requests: int) -> list[float]:
    request = connection.request_bytes("GET", path)
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        connection.exchange(request)
        times.append((time.perf_counter() - began) * 1000)
    return times
