"""Brings a database to the newest schema, once, however many processes start at the same moment.

Alembic is imported only where there is something to do, so that an ordinary start stays quick.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vai.ports import StoreUnavailable

HEAD = "0014_0001"
"""The newest revision of `migrations/versions`; a test holds them together."""

KNOWN = frozenset({"0001", *(f"{number:04}_0001" for number in range(2, 15))})

_ADDED_TO = re.compile(r"\d{4}_(\d{4})")

_MIGRATION_LOCK = 0x7661692D  # any number, as long as it is always this one
_VERSION = "SELECT version_num FROM alembic_version"


def migrate_sqlite(path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
    """Migrate the file at `path`, within its `opening`. Raises StoreUnavailable for a newer schema, else the driver's
    errors."""
    connection = connect()
    try:
        if not _is_current(_sqlite_revision(connection), str(path)):
            _upgrade_sqlite(connection)
    finally:
        connection.close()


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Be the only process that begins to use the SQLite database `path`, or puts another in its place.

    Without it a server that starts during a restore could open the old file just before the new one takes its name,
    and write to what nobody looks at any more.
    """
    lock = path.with_name(f"{path.name}.migrate.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sqlite_revision(connection: sqlite3.Connection) -> str | None:
    try:
        rows = connection.execute(_VERSION).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return rows[0][0] if rows else None


def revision_of(connection: Any) -> str | None:
    """The schema's revision on a connection of either driver; None when there is no schema yet."""
    return (
        _sqlite_revision(connection) if isinstance(connection, sqlite3.Connection) else _postgres_revision(connection)
    )


def check_revision(revision: str, name: str) -> None:
    """Raise StoreUnavailable for a schema that this version cannot work with.

    A newer schema that only added something is called by its number and the oldest one whose programs may still
    use it: `0003_0001`. So a process of the version before goes on while, and after, the next one migrates.
    """
    added_to = _ADDED_TO.fullmatch(revision)
    if revision in KNOWN or (added_to is not None and int(added_to[1]) <= int(HEAD[:4])):
        return
    raise StoreUnavailable(
        f"The database {name} was made by a newer vai (schema {revision}); install that version or newer."
    )


def _is_current(revision: str | None, name: str) -> bool:
    """True when there is nothing to do: the schema is ours, or a newer one that only added to it."""
    if revision is None:
        return False
    check_revision(revision, name)
    return revision == HEAD or revision not in KNOWN


def _upgrade_sqlite(connection: sqlite3.Connection) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    # SQLAlchemy's transaction keeps Alembic from committing each migration; the driver begins nothing by itself.
    with engine.begin() as shared:
        connection.execute("BEGIN IMMEDIATE")
        upgrade(shared)


def migrate_postgres(connect: Callable[[], Any], name: str) -> None:
    """Migrate the database. Raises StoreUnavailable for a newer schema, else the driver's errors."""
    with connect() as connection:
        if _is_current(_postgres_revision(connection), name):
            return
    from sqlalchemy import create_engine, text  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.begin() as shared:
        # Held until the transaction ends: who starts at the same moment waits here, and then has nothing to do.
        shared.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        if not _is_current(_postgres_revision(shared.connection), name):
            upgrade(shared)


def _postgres_revision(connection: Any) -> str | None:
    cursor = connection.cursor()
    cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return None
    cursor.execute(_VERSION)
    row = cursor.fetchone()
    return row[0] if row else None


def upgrade(connection: Any) -> None:
    """Run the migrations that lack on an SQLAlchemy connection, within its transaction."""
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

    config, scripts = configuration()
    context = EnvironmentContext(config, scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision))
    context.configure(connection=connection)
    with context:
        context.run_migrations()


def configuration() -> Any:
    """Alembic's configuration and the migrations, without an ini file."""
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "vai.storage:migrations")
    return config, ScriptDirectory.from_config(config)
