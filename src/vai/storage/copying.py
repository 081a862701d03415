"""Backups: one file with all that a database holds, made while it is used, and put back where nobody uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from vai.ports.faults import CannotCopy


class Backup(msgspec.Struct, frozen=True):
    """A backup that was made and read again."""

    path: Path
    size_bytes: int
    revision: str  # of its schema
    runs: int | None  # None where counting would take a database server


class Restored(msgspec.Struct, frozen=True):
    """What was put back; `kept` is where what was there before is now, if it is kept."""

    revision: str
    kept: Path | None


_MARKS = ((b"SQLite format 3\0", "SQLite"), (b"PGDMP", "PostgreSQL"))


def check_source(source: Path, wanted: str) -> None:
    """Raise CannotCopy unless the file looks like a backup of such a database: `SQLite` or `PostgreSQL`."""
    try:
        with source.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise CannotCopy(f"There is no file {source}.") from None
    except OSError as error:
        raise CannotCopy(f"{source} cannot be read: {error.strerror}.") from error
    found = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if found is None:
        raise CannotCopy(f"{source} is not a backup of vai.")
    if found != wanted:
        raise CannotCopy(f"{source} is a backup of {found}, and cannot be put into {wanted}.")


@contextmanager
def draft_of(target: Path, *, force: bool) -> Iterator[Path]:
    """A file beside `target`, for its owner alone, that takes its place when all went well, and is gone otherwise.
    Raises CannotCopy when `target` is there already and `force` is not given."""
    if target.exists() and not force:
        raise CannotCopy(f"{target} is there already. Choose another name, or --force to replace it.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        yield draft
        flush(draft)
        draft.replace(target)
        flush(target.parent)
    except OSError as error:
        raise CannotCopy(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until the file, or the folder's list of files, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
