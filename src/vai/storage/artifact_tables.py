"""What finds attached files, the list of contents to be removed, and the statements that several parts share."""

from typing import Any

from sqlalchemy import Column, Index, Select, Table, Text, insert, select, text
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Insert

from vai.storage.statements import param
from vai.storage.tables import ID, artifacts, automation_runs, metadata

_IS_FILE = text("place IS NOT NULL")
Index("ix_artifacts_place", artifacts.c.place, sqlite_where=_IS_FILE, postgresql_where=_IS_FILE)
Index(
    "ix_artifacts_sha256",
    *(artifacts.c.tenant_id, artifacts.c.sha256),
    sqlite_where=_IS_FILE,
    postgresql_where=_IS_FILE,
)
Index(
    "uq_artifacts_name",
    *(artifacts.c.action_run_id, artifacts.c.name),
    unique=True,
    sqlite_where=_IS_FILE,
    postgresql_where=_IS_FILE,
)

# Places that an artifact named which was removed; a sweep removes the contents that no other names.
removed_contents = Table(
    "removed_contents",
    metadata,
    Column("artifact_id", ID, primary_key=True),
    Column("place", Text, nullable=False, index=True),
)


def leave_places(of: ColumnElement[bool]) -> Insert:
    """Put the places of these artifacts, which are about to be removed, into the list."""
    found = select(artifacts.c.id, artifacts.c.place).where(artifacts.c.place.is_not(None), of)
    return insert(removed_contents).from_select(["artifact_id", "place"], found)


def held_run() -> Select[Any]:
    """The run of an artifact, kept from being removed until the transaction ends; none if that has begun
    (PostgreSQL: whoever removes it holds its row; SQLite has one writer)."""
    run = automation_runs.c
    mine = select(run.id).where(run.id == param("run_id"), run.tenant_id == param("tenant_id"))
    return mine.with_for_update(read=True, key_share=True, skip_locked=True)
