"""W1: many runs of a ten-step diamond, submitted as fast as possible. How much gets done in a second?"""

import itertools
import threading
import time
from collections.abc import Iterator

from bench.client import BadAnswer, Connection, publish
from bench.server import Server
from bench.shapes import diamond
from bench.stats import Figures

CLIENTS = 4
STEPS = 10
_LOOK_SECONDS = 0.002  # between looks at how many runs are final
_END_SECONDS = 120.0


def measure(server: Server, runs: int, passes: int, kind: str = "noop") -> Iterator[Figures]:
    """`runs` runs a pass. Steps a second from the first submission to the last run's end; CPU ms a step."""
    with server.connect() as connection:
        path = publish(connection, f"W1 {kind}", diamond(kind, STEPS - 2))
        request = connection.request_bytes("POST", path, b"{}")
        for _ in range(5):  # what is done once (compiling, caches) is not what is measured
            connection.wait_final(connection.post(path, {})["id"])
        for _ in range(passes):
            yield _one(server, connection, request, runs)


def _one(server: Server, connection: Connection, request: bytes, runs: int) -> Figures:
    before = _completed(connection)
    connections = [server.connect() for _ in range(CLIENTS)]
    cpu = server.cpu()
    began = time.perf_counter()
    _submit_all(connections, request, runs)
    submitted = time.perf_counter()
    _wait_completed(connection, before + runs)
    ended = time.perf_counter()
    spent = [(now - then) * 1000 / (runs * STEPS) for now, then in zip(server.cpu(), cpu, strict=True)]
    for one in connections:
        one.__exit__()
    return {
        "steps_per_s": runs * STEPS / (ended - began),
        "submissions_per_s": runs / (submitted - began),
        "cpu_ms_per_step": spent[0],
        "database_cpu_ms_per_step": sum(spent[1:]),
    }


def _submit_all(connections: list[Connection], request: bytes, runs: int) -> None:
    left = itertools.repeat(None, runs)  # shared: whoever is free takes the next
    failures: list[Exception] = []

    def submit(connection: Connection) -> None:
        try:
            for _ in left:
                connection.exchange(request)
        except (OSError, BadAnswer) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=submit, args=(one,)) for one in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _completed(connection: Connection) -> int:
    total: int = connection.get("/api/v1/automation-runs?status=completed&limit=0")["total"]
    return total


def _wait_completed(connection: Connection, wanted: int) -> None:
    until = time.monotonic() + _END_SECONDS
    while (found := _completed(connection)) != wanted:
        if time.monotonic() > until:
            raise BadAnswer(f"{found} runs are completed, not {wanted}, after {_END_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)
