"""Backup and restore of a SQLite database by SQLite's own means."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from vai.ports import StoreUnavailable
from vai.ports.faults import CannotCopy
from vai.storage.copying import Backup, Restored, check_source, draft_of
from vai.storage.migrate import check_revision, opening

_SIDE_FILES = ("", "-wal", "-shm")


def backup_sqlite(path: Path, target: Path, *, force: bool) -> Backup:
    """Copy the database as of one moment, also while it is used, and check the copy. Raises CannotCopy."""
    if not path.exists():
        raise CannotCopy(f"There is no database {path}. Name it with --data-dir or --database-url.")
    if target.exists() and any(target.samefile(own) for own in _files(path)):
        raise CannotCopy(f"{target} belongs to the database itself. Choose another name.")
    with draft_of(target, force=force) as draft:
        _copy(path, draft)
        revision, runs = _checked(draft)
    return Backup(target, target.stat().st_size, revision, runs)


def restore_sqlite(path: Path, source: Path, *, force: bool) -> Restored:
    """Put a backup in the place of the database, which is kept beside it. Raises CannotCopy."""
    check_source(source, "SQLite")
    if path.exists() and source.samefile(path):
        raise CannotCopy(f"{source} is the database itself.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opening(path), _alone(path, force=force), draft_of(path, force=True) as draft:
            _copy(source, draft)
            revision, _ = _checked(draft)
            # Only now is what was there touched: it gets another name too, and the copy takes its place in one step.
            kept = _put_aside(path)
    except OSError as error:
        raise CannotCopy(f"The directory {path.parent} cannot be used: {error.strerror}.") from error
    return Restored(revision, kept)


def _files(path: Path) -> list[Path]:
    """The database's files that are there."""
    return [one for suffix in _SIDE_FILES if (one := path.with_name(path.name + suffix)).exists()]


def _open(path: Path) -> sqlite3.Connection:
    # Not read-only: a database that was shut down cleanly has no shared memory yet, which reading makes.
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, timeout=5.0, isolation_level=None)


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(_open(source)) as reading, closing(sqlite3.connect(target)) as writing:
            # All pages at once: one snapshot, beside which others go on writing.
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, without others beside it
    except sqlite3.DatabaseError as error:
        raise CannotCopy(_why(error, source, target.parent)) from error


def _why(error: sqlite3.DatabaseError, source: Path, folder: Path) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):  # who only reads needs no room
        return f"The disk that holds {folder.absolute()} is full. Free some space, or choose another place."
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"{source} cannot be opened ({error}). Do this as the user that the server runs as."
    return f"{source} cannot be copied: {error}."


def _checked(path: Path) -> tuple[str, int]:
    """The schema's revision and the number of runs of a whole database of ours. Raises CannotCopy."""
    try:
        with closing(_open(path)) as connection:
            faults = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if faults != [("ok",)]:
                raise CannotCopy(f"The database is damaged: {faults[0][0]}.")
            revision = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
            check_revision(revision, "in the file")
            return revision, int(connection.execute("SELECT count(*) FROM automation_runs").fetchone()[0])
    except StoreUnavailable as reason:
        raise CannotCopy(str(reason)) from reason
    except (sqlite3.DatabaseError, TypeError) as error:
        raise CannotCopy(f"This is not a whole database of vai: {error}.") from error


@contextmanager
def _alone(path: Path, *, force: bool) -> Iterator[None]:
    """Hold the database that is to be replaced, which nobody else may have open. Raises CannotCopy."""
    if not path.exists():
        yield
        return
    with closing(_open(path)) as connection:
        try:
            # Leaving the write-ahead log takes that nobody else has the database open, and makes it one file.
            connection.execute("PRAGMA busy_timeout=0").fetchall()
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            is_empty = _is_empty(connection)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                message = f"{path} is used by a running process. Stop every vai that uses it, then restore."
                raise CannotCopy(message) from error
            is_empty = False  # damaged, or no database: not for us to throw away unasked
        if not (is_empty or force):
            raise CannotCopy(f"{path} holds data. --force puts it aside, and the backup in its place.")
        yield
        with suppress(sqlite3.DatabaseError):
            connection.execute("ROLLBACK")


def _is_empty(connection: sqlite3.Connection) -> bool:
    try:
        query = "SELECT EXISTS (SELECT 1 FROM automations) + EXISTS (SELECT 1 FROM automation_runs)"
        return bool(connection.execute(query).fetchone()[0] == 0)
    except sqlite3.OperationalError:
        return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def _put_aside(path: Path) -> Path | None:
    """Give what is there another name too; files that belong to it only get the other name."""
    kept = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for suffix in reversed(_SIDE_FILES):
        one = path.with_name(path.name + suffix)
        if one.exists() and suffix:
            one.rename(f"{kept}{suffix}")
        elif one.exists():
            kept.hardlink_to(one)
    return kept if kept.exists() else None
