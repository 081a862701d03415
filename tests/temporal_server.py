"""A real Temporal server for tests: the development server, in memory or on a file, without its console."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BINARY = Path(sys.executable).with_name("temporal")


def free_port() -> int:
    """A free port below those that the system gives to clients: who asks for the server must not meet itself."""
    while True:
        port = random.randint(12_000, 31_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class TemporalServer:
    """Start it, stop it, start it again at the same address; what it knew is there again if it has a file."""

    def __init__(self, log: Path, database: Path | None = None) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log = log
        self._database = database
        # It notes which version is the newest in its user's folder: in one of ours, not in that of who runs the tests.
        self._environment = {**os.environ, "HOME": str(log.parent)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [str(BINARY), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--log-level", "error"]
        if self._database is not None:
            command += ["--db-filename", str(self._database)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Temporal did not come up:\n{self._log.read_text()[-2000:]}")
            # Waiting for a foreign process to listen: there is nothing else to wait on.
            time.sleep(0.02)

    def _answers(self) -> bool:
        command = [str(BINARY), "operator", "cluster", "health", "--address", self.address]
        return subprocess.run(command, capture_output=True, check=False, env=self._environment).returncode == 0

    def stop(self) -> None:
        """End it, as a machine that goes down would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def temporal_server(folder: Path) -> Iterator[str]:
    """The address of a running server."""
    server = TemporalServer(folder / "temporal.log")
    try:
        server.start()
        yield server.address
    finally:
        server.stop()
