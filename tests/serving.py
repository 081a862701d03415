"""A real `vai serve` process for tests: start, kill, start again on the same data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx


def free_port() -> int:
    """A port below the ephemeral range is not needed: the server binds it, and nothing polls it before that."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`vai serve` on a data folder; each start is a new process on the same port."""

    def __init__(
        self,
        data_dir: Path,
        arguments: Sequence[str] = (),
        database_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        program: Sequence[str] = (str(Path(sys.executable).with_name("vai")),),
    ) -> None:
        self.data_dir = data_dir
        self._program = program
        self._environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [*arguments, *(["--database-url", database_url] if database_url else [])]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> None:
        """Start it and wait until it answers; its death meanwhile is an error with its last words."""
        command = [*self._program, "serve", "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir), *self._arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        deadline = time.monotonic() + 90
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"vai serve did not come up:\n{self.log.read_text()[-2000:]}")
            # Waiting for a foreign process to listen: there is nothing else to wait on.
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).json() == {"status": "ok"}
        except (httpx.TransportError, json.JSONDecodeError):
            return False

    def client(self) -> httpx.Client:
        """An HTTP client with the admin key."""
        key = (self.data_dir / "admin.key").read_text().strip()
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={"X-API-Key": key}, timeout=30)

    def pause(self) -> None:
        """SIGSTOP: it is still there, and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)
