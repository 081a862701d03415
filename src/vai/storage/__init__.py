"""The store: runs, automations, access and leases on SQLite or PostgreSQL."""

from pathlib import Path

from vai.ports import Clock, Contents, Store
from vai.storage.contents import LocalContents
from vai.storage.copying import Backup, Restored
from vai.storage.database import Database
from vai.storage.sqlite import SqliteDatabase
from vai.storage.store import SqlStore

__all__ = ["Backup", "Restored", "back_up", "open_contents", "open_database", "open_store", "restore"]


def open_store(url: str, *, clock: Clock) -> Store:
    """The store at `url`, not yet opened: `sqlite:///relative/vai.db`, `sqlite:////absolute/vai.db` or
    `postgresql://user@host/name`. Raises ValueError for any other URL."""
    return SqlStore(open_database(url), clock)


def open_contents(url: str | None, folder: Path) -> Contents:
    """Contents in the folder, or at a URL of fsspec: then the folder holds drafts alone. Raises ValueError when the
    URL cannot be used, and ImportError when what it needs is not installed."""
    if url is None:
        return LocalContents(folder)
    if "://" not in url:
        return LocalContents(Path(url))
    from vai.storage.object_contents import ObjectContents  # noqa: PLC0415 - needs an extra

    return ObjectContents(url, folder)


def back_up(url: str, target: Path, *, force: bool = False) -> Backup:
    """Write the database at `url` into the file `target`, as of one moment, also while it is used. Blocks.
    Raises ValueError for a URL that is none, and CannotCopy."""
    database = open_database(url)
    if isinstance(database, SqliteDatabase):
        from vai.storage.sqlite_copying import backup_sqlite  # noqa: PLC0415 - rarely wanted

        return backup_sqlite(database.path, target, force=force)
    from vai.storage.postgres_copying import backup_postgres  # noqa: PLC0415 - rarely wanted

    return backup_postgres(url, target, force=force)


def restore(url: str, source: Path, *, force: bool = False) -> Restored:
    """Put a backup in the place of the database at `url`; with `force` also where that holds data. Blocks.
    Raises ValueError for a URL that is none, and CannotCopy: then what was there is untouched."""
    database = open_database(url)
    if isinstance(database, SqliteDatabase):
        from vai.storage.sqlite_copying import restore_sqlite  # noqa: PLC0415 - rarely wanted

        return restore_sqlite(database.path, source, force=force)
    from vai.storage.postgres_copying import restore_postgres  # noqa: PLC0415 - rarely wanted

    return restore_postgres(url, source, force=force)


def open_database(url: str) -> Database:
    """The database at `url`, without a connection yet. Raises ValueError for a URL that is none."""
    scheme = url.split("://", 1)[0].lower()
    if scheme == "sqlite":
        return SqliteDatabase(url)
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        # Only here: a process on SQLite needs neither the driver nor the time that its import takes.
        from vai.storage.postgres import PostgresDatabase  # noqa: PLC0415

        return PostgresDatabase(url)
    raise ValueError("This is not the URL of a database that vai knows: use sqlite:///… or postgresql://…")
