"""SQLite: its connections and settings, its errors in plain words, and file locks that show which engines live."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from sqlalchemy import BigInteger, bindparam
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import ColumnElement

from vai.ports import AlreadyExists, DiskFull, StoreUnavailable
from vai.storage.database import Database, Session
from vai.storage.jobs import Committed
from vai.storage.migrate import migrate_sqlite, opening
from vai.storage.outage import Outage
from vai.storage.sqlite_session import SqliteSession, Statements
from vai.storage.statements import Connection

T = TypeVar("T")

_LIST_READERS = 2  # connections for lists and counts, each in its own thread
_PIECE_PAGES = 500  # given back in one transaction
_REBUILT_BYTES = 64 * 1024 * 1024  # a file with no more in use is made anew in about a second
_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


class SqliteDatabase(Database):
    """A database file. Keyed reads run on the loop's thread: they take some 50 us, and in WAL nobody blocks them."""

    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.path = Path(unquote(parts.path[1:]))
        level = parse_qs(parts.query).get("synchronous", ["FULL"])[0].upper()
        if not parts.path[1:] or level not in _SYNCHRONOUS:
            raise ValueError(f"{url!r} is not a SQLite URL such as sqlite:///vai.db?synchronous=FULL")
        if self.path.name == ":memory:":
            raise ValueError(
                "vai needs a database file, as in sqlite:///vai.db: each connection would see its own memory."
            )
        self._synchronous = level
        self.outage = Outage()
        self._statements = Statements(self.dialect)
        self._reader: sqlite3.Connection | None = None
        self._list_readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._threads = ThreadPoolExecutor(_LIST_READERS, "vai-reader")
        self._locks: dict[str, int] = {}

    @property
    def now(self) -> ColumnElement[int]:
        """The store's clock: one machine has one."""
        return bindparam("now", type_=BigInteger())

    def connect(self) -> sqlite3.Connection:
        """A connection with our settings. Transactions are begun by hand. Raises the driver's errors."""
        connection = sqlite3.connect(
            self.path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            for setting in (
                "auto_vacuum=INCREMENTAL",  # counts for a new file alone, and before the others
                "journal_mode=WAL",
                f"synchronous={self._synchronous}",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "wal_autocheckpoint=2000",
                "cache_size=-16000",
            ):
                connection.execute(f"PRAGMA {setting}").fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def look(self) -> sqlite3.Connection:
        """A connection that changes nothing, not even the file's settings. Raises the driver's errors."""
        # Not read-only: a database that was shut down cleanly has no shared memory yet, which reading makes.
        uri = f"file:{quote(str(self.path.absolute()))}?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None)

    def prepare(self) -> None:
        """See `Database.prepare`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with opening(self.path):
                migrate_sqlite(self.path, self.connect)
                # Open from here on, which keeps a restore away.
                self._reader = self.connect()
                for _ in range(_LIST_READERS):
                    self._list_readers.put(self.connect())
        except (sqlite3.Error, OSError) as error:
            raise self.explain(error) from error

    def session(self) -> Session:
        """See `Database.session`."""
        try:
            return SqliteSession(self.connect(), self._statements, self.explain)
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def listen(self, tell: Callable[[Committed], None]) -> None:
        """SQLite tells nobody: other processes on the file look when their engines claim."""

    async def read(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """See `Database.read`."""
        if self._reader is None:
            raise StoreUnavailable("The store is closed.")
        try:
            if is_keyed:
                return work(self._reader)
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._list, work)
        except sqlite3.Error as error:
            raise self.outage.noted(self.explain(error)) from error

    def _list(self, work: Callable[[Connection], T]) -> T:
        connection = self._list_readers.get()
        try:
            return work(connection)
        finally:
            self._list_readers.put(connection)

    async def snapshot(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """See `Database.snapshot`."""

        def in_transaction(connection: Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")

        return await self.read(in_transaction, is_keyed=is_keyed)

    def explain(self, error: Exception) -> Exception:
        """See `Database.explain`."""
        if isinstance(error, sqlite3.IntegrityError):
            return AlreadyExists(str(error))
        if isinstance(error, OSError):
            return StoreUnavailable(f"The directory {self.path.parent} cannot be used: {error.strerror}.")
        if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
            return error
        is_full = (getattr(error, "sqlite_errorname", "") or "").startswith("SQLITE_FULL")
        return (DiskFull if is_full else StoreUnavailable)(_sentence(error, self.path))

    # --- engines ---------------------------------------------------------------------------------------------

    @property
    def _lock_directory(self) -> Path:
        return self.path.with_name(f"{self.path.name}.engines")

    def _lock_file(self, engine_id: str) -> Path:
        return self._lock_directory / f"{engine_id}.lock"

    def hold(self, engine_id: str) -> None:
        """Lock a file of the engine's own; the system lets go of it when the process ends, however it ends."""
        if engine_id in self._locks:
            return
        try:
            self._lock_directory.mkdir(exist_ok=True)
            descriptor = os.open(self._lock_file(engine_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self.explain(error) from error
        self._locks[engine_id] = descriptor

    def let_go(self, engine_id: str) -> None:
        """Unlock and remove the engine's file."""
        descriptor = self._locks.pop(engine_id, None)
        if descriptor is not None:
            self._lock_file(engine_id).unlink(missing_ok=True)
            os.close(descriptor)

    def missing(self, connection: Connection, engine_ids: Sequence[str]) -> Sequence[str]:
        """Those whose lock can be taken, or that have no file: an engine makes its file before its row."""
        return [engine_id for engine_id in engine_ids if not self._lives(engine_id)]

    def _lives(self, engine_id: str) -> bool:
        if engine_id in self._locks:
            return True
        path = self._lock_file(engine_id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # cannot tell: its lease decides
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    # --- room ------------------------------------------------------------------------------------------------

    def give_back(self, connection: Connection) -> bool:
        """See `Database.give_back`. A tenth of the file stays free, for what is written next."""
        free = _pragma(connection, "freelist_count")
        if free <= _pragma(connection, "page_count") // 10:
            return False
        for _ in range(min(free, _PIECE_PAGES)):
            # The driver takes one step of a statement without columns, which is one page, whatever number is asked for.
            connection.execute("PRAGMA incremental_vacuum(1)").fetchall()
        return _pragma(connection, "freelist_count") < free  # not so for a file that was made without

    def rebuild(self) -> bool:
        """See `Database.rebuild`: files made by versions that did not ask for it when they were new."""
        try:
            with closing(self.connect()) as connection:
                pages, free = _pragma(connection, "page_count"), _pragma(connection, "freelist_count")
                used_bytes = (pages - free) * _pragma(connection, "page_size")
                is_able = _pragma(connection, "auto_vacuum") != 0
                if is_able or free <= pages // 2 or used_bytes > _REBUILT_BYTES:
                    return False
                # Others wait for the lock meanwhile, as for any transaction.
                connection.execute("VACUUM")
                return True
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def describe(self) -> Mapping[str, Any]:
        """See `Database.describe`."""
        size = 0
        with suppress(OSError):
            size = self.path.stat().st_size
        return {"database": "sqlite", "synchronous": self._synchronous, "sizeBytes": size}

    async def close(self) -> None:
        """Close the readers and let go of engines that were not retired."""
        for engine_id in list(self._locks):
            self.let_go(engine_id)
        self._threads.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        while not self._list_readers.empty():
            self._list_readers.get().close()


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchall()[0][0])


def _sentence(error: sqlite3.DatabaseError, path: Path) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_NOTADB"):
        return f"{path} is not a SQLite database; move it away or choose another path."
    if name.startswith("SQLITE_CORRUPT"):
        return f"The database {path} is damaged; restore it from a backup."
    if name.startswith("SQLITE_CANTOPEN"):
        return f"The database {path} cannot be opened; check that its directory exists and may be written."
    if name.startswith("SQLITE_READONLY"):
        return f"The database {path} cannot be written; check the permissions of the file and its directory."
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"Another process has been writing to {path} for more than 5 seconds; try again."
    if name.startswith("SQLITE_FULL"):
        return f"The disk that holds {path} is full; free some space and try again."
    return f"The database {path} cannot be used: {error}."
