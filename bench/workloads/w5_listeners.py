"""W5, second half: very many listeners on one run's event stream. When has the last of them an event?"""

import re
import selectors
import socket
import time
from collections.abc import Iterator

from bench.client import BadAnswer, Connection, publish
from bench.server import Server
from bench.shapes import chain
from bench.stats import Figures, percentile

_STARTED = re.compile(rb'event: step\.started\ndata: [^\n]*?"stepKey":"(\w+)"')
_END_SECONDS = 60.0
_STEP_MS = 60

Arrivals = list[tuple[int, bytes]]
"""When bytes came to a listener (monotonic ns), and which."""


def measure(server: Server, listeners: int, events: int, passes: int) -> Iterator[Figures]:
    """From the commit of a step's start until the last listener has `step.started`, in ms."""
    with server.connect() as connection:
        # The first step waits until everyone listens; the others keep their events apart.
        pauses = (1000 + 5 * listeners, _STEP_MS)
        path = publish(connection, f"W5 {listeners}", chain(events + 1, pause_ms=pauses))
        for _ in range(passes):
            yield _one(connection, path, listeners)


def _one(connection: Connection, path: str, listeners: int) -> Figures:
    run_id = connection.post(path, {})["id"]
    streams = [connection.open_stream(run_id) for _ in range(listeners)]
    try:
        arrivals = _listen(streams)
    finally:
        for stream in streams:
            stream.close()
    began = _began(connection, run_id)
    if max(one[0][0] for one in arrivals) > min(began.values()):
        raise BadAnswer("not all listeners were connected when the second step began")
    told = [_started(one) for one in arrivals]
    if any(began.keys() - one.keys() for one in told):
        raise BadAnswer("a listener missed an event")
    delays = [_delay(at, [one[key] for one in told]) for key, at in began.items()]
    return {"last_p50_ms": percentile(delays, 0.5), "last_max_ms": max(delays)}


def _delay(began: int, arrived: list[int]) -> float:
    """Until the last listener had the event, in ms. The action begins at about the moment of the first sending:
    whichever is seen first is nearest to the commit."""
    return (max(arrived) - min(began, *arrived)) / 1e6


def _listen(streams: list[socket.socket]) -> list[Arrivals]:
    """Everything that comes, until the server has closed every stream."""
    arrivals: list[Arrivals] = [[] for _ in streams]
    until = time.monotonic() + _END_SECONDS
    with selectors.DefaultSelector() as selector:
        for number, stream in enumerate(streams):
            stream.setblocking(False)
            selector.register(stream, selectors.EVENT_READ, number)
        while selector.get_map():
            if time.monotonic() > until:
                raise BadAnswer(f"{len(selector.get_map())} streams were still open after {_END_SECONDS:g} s")
            for ready, _ in selector.select(1.0):
                data = ready.fileobj.recv(65536)  # type: ignore[union-attr]
                arrivals[ready.data].append((time.monotonic_ns(), data))
                if not data or b"event: stream.end" in data:
                    selector.unregister(ready.fileobj)
    return arrivals


def _started(arrivals: Arrivals) -> dict[str, int]:
    """When the start of each step was told to a listener."""
    found: dict[str, int] = {}
    data = b""
    for at, some in arrivals:
        data += some
        for match in _STARTED.finditer(data):
            found.setdefault(match[1].decode(), at)
        data = data[data.rfind(b"\n\n") + 1 :]
    return found


def _began(connection: Connection, run_id: str) -> dict[str, int]:
    """When each step but the first began, as it stamped itself."""
    steps = connection.get(f"/api/v1/automation-runs/{run_id}/steps")["steps"]
    return {step["key"]: step["result"]["began"] for step in steps if step["key"] != "s0"}
