"""PostgreSQL: its connections, its errors in plain words, and session locks that show which engines live."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import BigInteger, literal_column
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import ColumnElement

from vai.ports import AlreadyExists, DiskFull, StoreUnavailable
from vai.storage.database import Database, Session
from vai.storage.jobs import Committed
from vai.storage.listener import Listener
from vai.storage.migrate import migrate_postgres
from vai.storage.outage import Outage
from vai.storage.postgres_batch import BatchStatements
from vai.storage.postgres_locks import EngineLocks
from vai.storage.postgres_session import PostgresSession
from vai.storage.statements import Connection

T = TypeVar("T")

GRACE_SECONDS = 0.8
"""How long a lock may be missing before its engine is dead; to make a cut session anew takes a fraction of that."""
_READERS = 6  # threads, each with a connection of its own


class PostgresDatabase(Database):
    """A database on a server, which any number of processes may share."""

    dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
    grace_seconds = GRACE_SECONDS

    def __init__(self, url: str) -> None:
        self._conninfo = "postgresql://" + url.split("://", 1)[1]
        try:
            self._parts = conninfo_to_dict(self._conninfo)
        except psycopg.Error:
            # The driver's message quotes the URL, which may hold a password.
            raise ValueError("This is not a PostgreSQL URL such as postgresql://user@host/name.") from None
        self._statements = BatchStatements(self.dialect)
        self._process_id = uuid4().hex
        self.outage = Outage()
        self._threads = ThreadPoolExecutor(_READERS, "vai-reader")
        self._own = threading.local()  # each reading thread's connection
        self._readers: list[psycopg.Connection] = []
        self._locks = EngineLocks(lambda: self.connect(autocommit=True))
        self._listener: Listener | None = None

    @property
    def now(self) -> ColumnElement[int]:
        """The server's clock, the same for all processes."""
        return literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", BigInteger())

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """A connection with our settings. Raises the driver's errors."""
        return psycopg.connect(self._conninfo, autocommit=autocommit, **self._options())

    def _options(self) -> dict[str, Any]:
        options = {
            "application_name": "vai",
            "connect_timeout": 5,
            # A server that vanishes without a word, as in a failover, is noticed in some ten seconds.
            **{"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000},
        }
        return {name: value for name, value in options.items() if name not in self._parts}

    def prepare(self) -> None:
        """See `Database.prepare`."""
        try:
            migrate_postgres(self.connect, str(self._parts.get("dbname", "")))
        except psycopg.Error as error:
            raise self.explain(error) from error

    def session(self) -> Session:
        """See `Database.session`."""
        try:
            return PostgresSession(self.connect, self._statements, self.explain, self._process_id)
        except psycopg.Error as error:
            raise self.explain(error) from error

    def listen(self, tell: Callable[[Committed], None]) -> None:
        """See `Database.listen`."""
        self._listener = Listener(self._conninfo, self._options(), self._process_id, tell)

    # --- reads -----------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """See `Database.read`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)
        except psycopg.Error as error:
            raise self.outage.noted(self.explain(error)) from error
        except RuntimeError as error:
            raise StoreUnavailable("The store is closed.") from error

    async def snapshot(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """See `Database.snapshot`."""

        def in_transaction(connection: Connection) -> T:
            assert isinstance(connection, psycopg.Connection)  # noqa: S101 - for the type alone
            with connection.transaction():
                return work(connection)

        return await self.read(in_transaction, is_keyed=is_keyed)

    def _read(self, work: Callable[[Connection], T]) -> T:
        connection = self._reader()
        try:
            return work(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
        # The server was restarted, or the network cut an idle connection: a read may simply be done again.
        return work(self._reader())

    def _reader(self) -> psycopg.Connection:
        connection: psycopg.Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = self.connect(autocommit=True)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._own.connection = connection
            self._readers.append(connection)
        return connection

    # --- errors ----------------------------------------------------------------------------------------------

    def explain(self, error: Exception) -> Exception:
        """See `Database.explain`."""
        if isinstance(error, psycopg.IntegrityError):
            return AlreadyExists(str(error).split("\n", 1)[0])
        if isinstance(error, psycopg.DataError):
            return ValueError(f"PostgreSQL cannot store this: {str(error).splitlines()[0]}.")
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return StoreUnavailable(f"The database {self._name} only allows reading; is it a standby?")
        if isinstance(error, psycopg.errors.DiskFull):
            return DiskFull(self._sentence(error))
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StoreUnavailable(self._sentence(error))
        return error

    @property
    def _name(self) -> str:
        return str(self._parts.get("dbname") or self._parts.get("user") or "")

    def _sentence(self, error: psycopg.Error) -> str:
        text = str(error)
        host = self._parts.get("host") or "this machine"
        port = self._parts.get("port") or 5432
        user = self._parts.get("user") or "the current user"
        if "authentication failed" in text or "no password supplied" in text:
            return f"PostgreSQL at {host} refuses {user}: check the user and the password in the database URL."
        if "does not exist" in text and "database" in text:
            return f"There is no database {self._name!r} on PostgreSQL at {host}; create it first."
        if isinstance(error, psycopg.errors.DiskFull):
            return "The disk of the PostgreSQL server is full; free some space and try again."
        if "too many c" in text or "remaining connection slots" in text:
            return f"PostgreSQL at {host} has no connection left; raise max_connections or stop other clients."
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            reason = text.strip().split("\n")[0].strip()
            return f"PostgreSQL at {host}, port {port}, does not answer; check that it runs ({reason})."
        return f"PostgreSQL at {host} cannot do this just now: {text.splitlines()[0]}."

    # --- engines ---------------------------------------------------------------------------------------------

    def hold(self, engine_id: str) -> None:
        """Take the engine's advisory lock on a session of its own, which ends with this process and is renewed when it
        is cut."""
        try:
            self._locks.hold(engine_id)
        except psycopg.Error as error:
            raise self.explain(error) from error

    def let_go(self, engine_id: str) -> None:
        """See `Database.let_go`."""
        self._locks.let_go(engine_id)

    def missing(self, connection: Connection, engine_ids: Sequence[str]) -> Sequence[str]:
        """Those whose lock no session holds."""
        return self._locks.missing(connection, engine_ids)

    def describe(self) -> Mapping[str, Any]:
        """See `Database.describe`."""
        listens = self._listener is not None and self._listener.is_connected
        return {"database": "postgresql", "name": self._name, "listening": listens}

    async def close(self) -> None:
        """See `Database.close`."""
        if self._listener is not None:
            await self._listener.stop()
        await asyncio.to_thread(self._locks.close)
        self._threads.shutdown(wait=True)
        for connection in self._readers:
            connection.close()
