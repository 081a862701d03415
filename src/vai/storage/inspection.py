"""Looks at a database without changing it, as nobody's process: for `vai doctor`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import msgspec
from sqlalchemy import select

from vai.domain.state import Instant
from vai.ports import ORCHESTRATORS, Standing, StoreUnavailable
from vai.storage import rows
from vai.storage.database import Database
from vai.storage.migrate import HEAD, KNOWN, check_revision, revision_of
from vai.storage.sqlite import SqliteDatabase
from vai.storage.standing import StandingStatements
from vai.storage.statements import Connection, param
from vai.storage.tables import artifacts, automation_versions, automations

_MOST_VERSIONS = 1_000
_MOST_PLACES = 10


class Inspection(msgspec.Struct, frozen=True):
    """What was found. Without a schema (`revision` is None) nothing more is known."""

    revision: str | None
    newest: str  # the schema that this version makes
    skew_ms: float = 0.0  # how far this machine's clock is ahead of the database's
    standing: Standing | None = None
    kinds: Sequence[tuple[str, str]] = ()  # automation and kind, of active versions
    places: Sequence[str] = ()  # of some files that steps attached


def inspect(
    database: Database, clock: Callable[[], Instant], orchestrators: Sequence[str] = ORCHESTRATORS
) -> Inspection:
    """Look at the database. Blocks. Raises StoreUnavailable when it is not there, or was made by a newer version."""
    if isinstance(database, SqliteDatabase) and not database.path.exists():
        raise StoreUnavailable(f"There is no database {database.path} yet. A server makes it at its first start.")
    try:
        with closing(database.look() if isinstance(database, SqliteDatabase) else database.connect()) as connection:
            return _look(database, connection, clock, orchestrators)
    except StoreUnavailable:
        raise
    except Exception as error:
        raise database.explain(error) from error


def _look(
    database: Database, connection: Any, clock: Callable[[], Instant], orchestrators: Sequence[str]
) -> Inspection:
    revision = revision_of(connection)
    if revision is None:
        return Inspection(None, HEAD)
    check_revision(revision, "here")
    statements = StandingStatements(database)
    before = time.time_ns() / 1e6
    there = statements.now.one(connection, {"now": clock()})[0]
    # The answer was made somewhere between asking and hearing it.
    skew = (before + time.time_ns() / 1e6) / 2 - there
    # An older schema is looked at before the next start migrates it.
    is_current = revision == HEAD or revision not in KNOWN
    standing = statements.read(connection, clock(), orchestrators, has_triggers=is_current)
    places = _places(database, connection) if is_current else ()
    return Inspection(revision, HEAD, skew, standing, _kinds(database, connection), places)


def _places(database: Database, connection: Connection) -> list[str]:
    newest = select(artifacts.c.place).where(artifacts.c.place.is_not(None)).order_by(artifacts.c.place.desc())
    return [row[0] for row in database.compile(newest.limit(_MOST_PLACES)).all(connection)]


def _kinds(database: Database, connection: Connection) -> list[tuple[str, str]]:
    query = (
        select(automations.c.name, automation_versions.c.config)
        .join(automation_versions, automation_versions.c.automation_id == automations.c.id)
        .where(automation_versions.c.status == param("status"))
        .order_by(automations.c.name)
        .limit(_MOST_VERSIONS)
    )
    found = database.compile(query).all(connection, {"status": "active"})
    return [(name, kind) for name, config in found for kind in _kinds_of(rows.from_json(config))]


def _kinds_of(config: Any) -> Sequence[str]:
    steps = config.get("steps") if isinstance(config, dict) else None
    kinds = (step.get("kind") for step in steps if isinstance(step, dict)) if isinstance(steps, list) else ()
    return list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str)))
