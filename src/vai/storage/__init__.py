"""The store: runs, automations, access and leases on SQLite or PostgreSQL."""

from vai.ports import Clock, Store
from vai.storage.database import Database
from vai.storage.sqlite import SqliteDatabase
from vai.storage.store import SqlStore

__all__ = ["open_store"]


def open_store(url: str, *, clock: Clock) -> Store:
    """The store at `url`, not yet opened: `sqlite:///relative/vai.db`, `sqlite:////absolute/vai.db` or
    `postgresql://user@host/name`. Raises ValueError for any other URL."""
    return SqlStore(_database(url), clock)


def _database(url: str) -> Database:
    scheme = url.split("://", 1)[0].lower()
    if scheme == "sqlite":
        return SqliteDatabase(url)
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        # Only here: a process on SQLite needs neither the driver nor the time that its import takes.
        from vai.storage.postgres import PostgresDatabase  # noqa: PLC0415

        return PostgresDatabase(url)
    raise ValueError("This is not the URL of a database that vai knows: use sqlite:///… or postgresql://…")
