"""The rows of attached files: the `AttachmentStore` part of the store.

A place is named by rows alone, so that dedup and removal meet in them. Whoever names a place that has a content locks a
row that names it; who removes such a row waits for that lock, and lists the place in the same transaction. So a place
that the list has and no row names stays unnamed, and its content can be removed at leisure.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, exists, func, insert, literal_column, select
from sqlalchemy.sql import ColumnElement

from vai.ports import ArtifactRecord, Attachment, NotKept
from vai.storage.artifact_tables import held_run, leave_places, removed_contents
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import artifacts, steps

MOST_PLACES = 100
"""How many places are asked for at once."""

_artifact, _removed = artifacts.c, removed_contents.c
_RECORD = ArtifactRecord.__struct_fields__
_ONE: ColumnElement[int] = literal_column("1")


class _Statements:
    def __init__(self, db: Database) -> None:
        self.held_run = db.compile(held_run())
        self.step = db.compile(
            select(_ONE).where(
                *(steps.c.action_run_id == param("action_run_id"), steps.c.run_id == param("run_id")),
                *(steps.c.status == literal_column("'running'"), steps.c.tries == param("try_number")),
            )
        )
        of_step = _artifact.action_run_id == param("action_run_id"), _artifact.tenant_id == param("tenant_id")
        of_others = *of_step, _artifact.place.is_not(None), _artifact.name != param("name")
        self.others = db.compile(select(func.count(), func.sum(_artifact.size_bytes)).where(*of_others))
        same_name = *of_step, _artifact.place.is_not(None), _artifact.name == param("name")
        self.same_name = db.compile(select(*[_artifact[name] for name in _RECORD]).where(*same_name))
        held = select(_artifact.id).where(_artifact.place == param("place")).limit(_ONE)
        # One that is just being removed does not count.
        self.held = db.compile(held.with_for_update(read=True, key_share=True, skip_locked=True))
        values = {name: param(name) for name in _RECORD} | {"content": param("content")}
        self.add = db.compile(insert(artifacts).values(values))
        self.replace = [
            db.compile(leave_places(_artifact.id == param("former"))),
            db.compile(delete(artifacts).where(_artifact.id == param("former"))),
        ]
        of_hash = _artifact.tenant_id == param("tenant_id"), _artifact.sha256 == param("sha256")
        self.place = db.compile(select(_artifact.place).where(*of_hash, _artifact.place.is_not(None)).limit(_ONE))
        self._of_sweeping(db)

    def _of_sweeping(self, db: Database) -> None:
        places = [param(f"place_{i}") for i in range(MOST_PLACES)]
        is_named = exists(_ONE).where(_artifact.place == _removed.place)
        self.listed = db.compile(select(_removed.place).limit(_ONE))
        self.settle = db.compile(delete(removed_contents).where(is_named))
        self.unnamed = db.compile(select(_removed.place).where(~is_named).distinct().limit(param("limit")))
        self.forget = db.compile(delete(removed_contents).where(_removed.place.in_(places)))
        in_list = select(_removed.place).where(_removed.place.in_(places))
        self.known = db.compile(select(_artifact.place).where(_artifact.place.in_(places)).union(in_list))


class Attachments(StoreBase):
    """See the methods of `AttachmentStore`."""

    def _build(self) -> None:
        super()._build()
        self._attachment_sql = _Statements(self._db)

    async def place_of(self, tenant_id: str, sha256: str) -> str | None:
        """Where the tenant has a content with this hash, or None."""
        params = {"tenant_id": tenant_id, "sha256": sha256}
        row = await self._db.read(lambda c: self._attachment_sql.place.one(c, params), is_keyed=True)
        return None if row is None else row[0]

    async def attach(self, attachment: Attachment) -> ArtifactRecord | NotKept:
        """See `AttachmentStore.attach`."""
        kept: ArtifactRecord | NotKept = await self._call(lambda c: self._attach(c, attachment))
        return kept

    def _attach(self, connection: Connection, new: Attachment) -> ArtifactRecord | NotKept:
        sql, artifact = self._attachment_sql, new.artifact
        params = {**msgspec.structs.asdict(artifact), "try_number": new.try_number, "content": ""}
        if sql.held_run.one(connection, params) is None or sql.step.one(connection, params) is None:
            return NotKept.NOT_AT_WORK
        count, size = sql.others.one(connection, params)
        if count >= new.most_files:
            return NotKept.TOO_MANY
        if int(size or 0) + artifact.size_bytes > new.most_bytes:
            return NotKept.TOO_LARGE
        if not new.is_new and sql.held.one(connection, params) is None:
            return NotKept.GONE
        former = sql.same_name.one(connection, params)
        if former is not None:
            known = ArtifactRecord(*former)
            if (known.place, known.media_type) == (artifact.place, artifact.media_type):
                return known
            for statement in sql.replace:
                statement.run(connection, {"former": known.id})
        sql.add.run(connection, params)
        return artifact

    async def unnamed(self, limit: int) -> Sequence[str]:
        """See `AttachmentStore.unnamed`."""
        sql = self._attachment_sql
        if await self._db.read(sql.listed.one, is_keyed=True) is None:
            return ()

        def work(connection: Connection) -> list[str]:
            sql.settle.run(connection)
            return [row[0] for row in sql.unnamed.all(connection, {"limit": limit})]

        found: list[str] = await self._call(work)
        return found

    async def forget(self, places: Sequence[str]) -> None:
        """See `AttachmentStore.forget`."""
        for some in _by_hundreds(places):
            await self._call(lambda c, some=some: self._attachment_sql.forget.run(c, some))  # type: ignore[misc]

    async def known(self, places: Sequence[str]) -> Collection[str]:
        """See `AttachmentStore.known`."""
        found: set[str] = set()
        for some in _by_hundreds(places):
            known = await self._db.read(lambda c, some=some: self._attachment_sql.known.all(c, some))  # type: ignore[misc]
            found.update(row[0] for row in known)
        return found


def _by_hundreds(places: Sequence[str]) -> list[dict[str, Any]]:
    """The places as the statements' parameters, of which there are always as many: the first fills up."""
    parts = [places[at : at + MOST_PLACES] for at in range(0, len(places), MOST_PLACES)]
    return [{f"place_{i}": part[i] if i < len(part) else part[0] for i in range(MOST_PLACES)} for part in parts]
