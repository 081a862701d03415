"""The system under fault: a database, some vai processes, and someone who starts again what dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from tests.chaos.proxy import Proxy
from tests.postgres import Postgres, create_database
from tests.serving import free_port
from tests.small_disk import SmallDisk, may_mount, small_disk

ACTIONS = Path(__file__).with_name("actions.py")
# What was committed has left the server's process when the answer comes: kill -9 must lose none of it.
SURVIVES_KILLS = ("fsync=off", "synchronous_commit=on")
_DISK_MIB = 768  # holds what ten thousand runs leave
SETTINGS = {"VAI_LEASE_SECONDS": "2", "VAI_RENEW_SECONDS": "0.5", "VAI_POLL_SECONDS": "0.3", "VAI_DRAIN_SECONDS": "5"}


class Node:
    """One vai process, started anew as often as it dies. `url` is None for a worker."""

    def __init__(self, folder: Path, name: str, database_url: str | None, *, serves: bool) -> None:
        self.name = name
        # Processes on one SQLite file share its folder; those on PostgreSQL share nothing but the database.
        self.data_dir = folder / (name if database_url else "data")
        self.clock = folder / f"{name}.clock"
        self.url = f"http://127.0.0.1:{free_port()}" if serves else None
        self._log = folder / f"{name}.log"
        command = ["serve", "--port", str(urlsplit(self.url).port)] if self.url else ["worker"]
        command += ["--data-dir", str(self.data_dir), "--actions", str(ACTIONS)]
        self._command = [*command, *(["--database-url", database_url] if database_url else [])]
        self.process: subprocess.Popen[bytes] | None = None
        self._log_before = 0

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "tests.chaos.process", str(self.clock), *self._command]
        with self._log.open("ab") as log:
            self._log_before = log.tell()
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **SETTINGS})

    @property
    def is_up(self) -> bool:
        """True once its process has said that it serves or works, while it runs."""
        said = self._log.read_bytes()[self._log_before :]
        return self.is_alive and (b"vai serves " in said or b"vai works" in said)

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text()[-1500:]

    @property
    def is_alive(self) -> bool:
        """True while its process runs."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.process is not None and self.is_alive:
            self.process.send_signal(number)

    def end(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait(30)


class Cluster:
    """A context: everything is up inside, and gone afterwards."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.postgres = Postgres(SURVIVES_KILLS) if database == "postgresql" else None
        self.proxy: Proxy | None = None
        self.disk: SmallDisk | None = None  # that holds a SQLite file, where mounting is allowed
        self._disks = ExitStack()
        self.nodes: list[Node] = []
        self._clients: dict[str, httpx.Client] = {}
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise)

    def __enter__(self) -> Self:
        url = None
        if self.postgres is not None:
            self.postgres.start()
            path = urlsplit(create_database(self.postgres.url)).path
            self.proxy = Proxy(f"{self.postgres.folder}/.s.PGSQL.5432")
            url = f"postgresql://vai@127.0.0.1:{self.proxy.port}{path}"
        elif may_mount():
            self.disk = self._disks.enter_context(small_disk(self.folder / "data", _DISK_MIB))
        names = (("one", True), ("two", True), ("worker", False))
        self.nodes = [Node(self.folder, name, url, serves=serves) for name, serves in names]
        # One after the other: the first makes the tables and the key.
        for node in self.nodes:
            node.start()
            self.wait_until_up([node])
            self._share_key(node)
        self._supervisor.start()
        return self

    def _share_key(self, node: Node) -> None:
        key = self.nodes[0].data_dir / "admin.key"
        for other in self.nodes:
            other.data_dir.mkdir(mode=0o700, exist_ok=True)
            if other is not node and not (other.data_dir / "admin.key").exists():
                (other.data_dir / "admin.key").write_text(key.read_text())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for client in self._clients.values():
            client.close()
        for node in self.nodes:
            node.send(signal.SIGCONT)
            node.end()
        if self.proxy is not None:
            self.proxy.close()
        if self.postgres is not None:
            self.postgres.remove()
        self._disks.close()

    def _supervise(self) -> None:
        while not self._over.wait(0.1):
            for node in self.nodes:
                if not node.is_alive:
                    node.start()

    @property
    def servers(self) -> Sequence[Node]:
        """The nodes that answer over HTTP."""
        return [node for node in self.nodes if node.url is not None]

    def client(self, node: Node) -> httpx.Client:
        """The HTTP client of a server, with the admin key, for any thread."""
        if node.name not in self._clients:
            key = (self.nodes[0].data_dir / "admin.key").read_text().strip()
            fresh = httpx.Client(base_url=f"{node.url}/api/v1", headers={"X-API-Key": key}, timeout=20)
            self._clients.setdefault(node.name, fresh)
        return self._clients[node.name]

    def wait_until_up(self, nodes: Sequence[Node], seconds: float = 60) -> None:
        """Wait until all of these are up."""
        until, pause = time.monotonic() + seconds, threading.Event()
        for node in nodes:
            while not node.is_up:
                if time.monotonic() > until:
                    raise RuntimeError(f"{node.name} does not come up: {node.last_words()}")
                pause.wait(0.05)
