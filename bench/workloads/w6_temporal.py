"""W6: W1's diamonds on vai on Temporal, and beside them, on the same server, diamonds of Temporal alone.

Each with one worker process; the passes take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from temporalio.client import Client

from bench import bare_temporal
from bench.client import Connection, publish
from bench.processes import cpu_seconds, end
from bench.server import ACTIONS, TEMPORAL, Server, serving
from bench.shapes import diamond
from bench.stats import Figures
from bench.workloads import w1_diamond

STEPS = w1_diamond.STEPS
_START_SECONDS = 30.0
_WARM_RUNS = 3
_LOOK_SECONDS = 0.02


def measure(folder: Path, runs: int, passes: int) -> Iterator[Figures]:
    """`runs` diamonds a pass. Steps a second on both, from the first submission to the last end; CPU ms a step."""
    with (
        _temporal(folder) as (address, temporal_pid),
        _bare_worker(folder, address) as bare_pid,
        _vai(folder, address) as (server, worker_pid),
        server.connect() as connection,
    ):
        path = publish(connection, "W6", diamond("noop", STEPS - 2))
        for _ in range(_WARM_RUNS):  # what is done once (compiling, caches) is not what is measured
            connection.wait_final(connection.post(path, {})["id"])
        asyncio.run(_bare(address, _WARM_RUNS))
        for _ in range(passes):
            spent = _Spent(runs * STEPS, (bare_pid, temporal_pid))
            bare_seconds = asyncio.run(_bare(address, runs))
            bare = spent.since()
            spent = _Spent(runs * STEPS, (worker_pid, *server.pids, temporal_pid))
            seconds = _ours(server, connection, path, runs)
            worker, api, temporal = spent.since()
            yield {
                "steps_per_s": runs * STEPS / seconds,
                "bare_steps_per_s": runs * STEPS / bare_seconds,
                "overhead": seconds / bare_seconds,
                "cpu_ms_per_step": worker + api,
                "bare_cpu_ms_per_step": bare[0],
                "api_cpu_ms_per_step": api,
                "temporal_cpu_ms_per_step": temporal,
                "bare_temporal_cpu_ms_per_step": bare[1],
            }


class _Spent:
    """CPU ms a step that processes spend from now on."""

    def __init__(self, steps: int, pids: Sequence[int]) -> None:
        self._steps = steps
        self._pids = pids
        self._before = [cpu_seconds(pid) for pid in pids]

    def since(self) -> list[float]:
        return [(cpu_seconds(p) - b) * 1000 / self._steps for p, b in zip(self._pids, self._before, strict=True)]


def _ours(server: Server, connection: Connection, path: str, runs: int) -> float:
    before = w1_diamond._completed(connection)
    connections = [server.connect() for _ in range(w1_diamond.CLIENTS)]
    began = time.perf_counter()
    w1_diamond._submit_all(connections, connection.request_bytes("POST", path, b"{}"), runs)
    while w1_diamond._completed(connection) != before + runs:
        time.sleep(_LOOK_SECONDS)
    ended = time.perf_counter()
    for one in connections:
        one.__exit__()
    return ended - began


async def _bare(address: str, runs: int) -> float:
    client = await Client.connect(address)
    began = time.perf_counter()
    await bare_temporal.diamonds(client, "bare", runs, STEPS - 2)
    return time.perf_counter() - began


@contextlib.contextmanager
def _process(
    command: list[str], log: Path, end_by: int = signal.SIGTERM, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    variables = {**os.environ, **(environment or {})}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables)
    try:
        yield process
    finally:
        end(process, number=end_by)


@contextlib.contextmanager
def _temporal(folder: Path) -> Iterator[tuple[str, int]]:
    """The development server on a SQLite file; its address and process."""
    port = _free_port()
    binary = str(TEMPORAL)
    command = [binary, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "error", "--db-filename", str(folder / "temporal.db")]
    # Its data are thrown away: it need not be put in order.
    with _process(command, folder / "temporal.log", signal.SIGKILL) as process:
        address = f"127.0.0.1:{port}"
        until = time.monotonic() + _START_SECONDS
        check = [binary, "operator", "cluster", "health", "--address", address]
        while subprocess.run(check, capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                raise RuntimeError((folder / "temporal.log").read_text()[-2000:])
            time.sleep(0.05)
        yield address, process.pid


@contextlib.contextmanager
def _bare_worker(folder: Path, address: str) -> Iterator[int]:
    with _process([sys.executable, "-m", "bench.bare_temporal", address, "bare"], folder / "bare.log") as process:
        yield process.pid


@contextlib.contextmanager
def _vai(folder: Path, address: str) -> Iterator[tuple[Server, int]]:
    """A server that drives nothing by itself, and a worker of Temporal on its data; the worker's process."""
    environment = {"VAI_DAG_ENGINE": "temporal", "VAI_TEMPORAL_ADDRESS": address}
    data_dir = folder / "vai"
    with serving(data_dir, environment=environment) as server:
        command = [str(Path(sys.executable).with_name("vai")), "worker", "--temporal", "--data-dir", str(data_dir)]
        command += ["--actions", str(ACTIONS)]
        with _process(command, folder / "worker.log", environment=environment) as worker:
            yield server, worker.pid


def _free_port() -> int:
    """Below the ports that the system gives to clients: who asks for the server must not meet itself."""
    while True:
        port = random.randint(12_000, 31_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
