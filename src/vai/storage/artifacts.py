"""Artifacts: what is too large to stand in a step's row. Most are written with the changes of their runs."""

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.sql import Select

from vai.ports import ArtifactFilter, ArtifactRecord, Page
from vai.storage import rows
from vai.storage.artifact_tables import held_run
from vai.storage.base import StoreBase
from vai.storage.statements import Connection, Statement, param
from vai.storage.tables import artifacts

_artifact = artifacts.c
_RECORD = [_artifact[name] for name in ArtifactRecord.__struct_fields__]


class Artifacts(StoreBase):
    """Artifacts, their lists and their content."""

    def _build(self) -> None:
        super()._build()
        mine = (_artifact.id == param("artifact_id"), _artifact.tenant_id == param("tenant_id"))
        self._artifact = self._db.compile(select(*_RECORD).where(*mine))
        self._artifact_content = self._db.compile(select(*_RECORD, _artifact.content).where(*mine))
        self._save_artifact = self._db.compile(insert(artifacts).values({name: param(name) for name in rows.ARTIFACT}))
        self._run_of_artifact = self._db.compile(held_run())
        self._artifact_page = lru_cache(self._artifact_page_of)
        self._artifact_total = lru_cache(self._artifact_total_of)

    async def save_artifact(self, artifact: ArtifactRecord, content: str) -> bool:
        """Keep a result that is too large for its row. False: its run is gone, and nothing would remove it again."""
        params = {**msgspec.structs.asdict(artifact), "content": content}

        def work(connection: Connection) -> bool:
            if self._run_of_artifact.one(connection, params) is None:
                return False
            self._save_artifact.run(connection, params)
            return True

        saved: bool = await self._call(work)
        return saved

    async def artifact(self, tenant_id: str, artifact_id: str) -> ArtifactRecord | None:
        """What is known of the tenant's artifact beside its content, or None."""
        params = {"tenant_id": tenant_id, "artifact_id": artifact_id}
        row = await self._db.read(lambda c: self._artifact.one(c, params), is_keyed=True)
        return None if row is None else ArtifactRecord(*row)

    async def artifact_content(self, tenant_id: str, artifact_id: str) -> tuple[ArtifactRecord, str] | None:
        """The tenant's artifact and its content, or None. Read beside the loop: it may be large."""
        params = {"tenant_id": tenant_id, "artifact_id": artifact_id}
        row = await self._db.read(lambda c: self._artifact_content.one(c, params))
        return None if row is None else (ArtifactRecord(*row[:-1]), row[-1])

    async def artifacts(self, query: ArtifactFilter) -> Page:
        """The tenant's artifacts, newest first."""

        def work(connection: Connection) -> tuple[Any, int]:
            asked = {"action_run_id": query.action_run_id, "kind": query.kind}
            given = {name: value for name, value in asked.items() if value is not None}
            params: dict[str, Any] = {**given, "tenant_id": query.tenant_id}
            total = int(self._artifact_total(tuple(given)).all(connection, params)[0][0])
            if query.offset >= total:
                return (), total
            params |= {"limit": query.limit, "offset": query.offset}
            return self._artifact_page(tuple(given)).all(connection, params), total

        found, total = await self._db.snapshot(work)
        return Page([ArtifactRecord(*row) for row in found], total)

    def _artifact_page_of(self, filters: tuple[str, ...]) -> Statement:
        newest = _filtered(select(*_RECORD), filters).order_by(_artifact.id.desc())
        return self._db.compile(newest.limit(param("limit")).offset(param("offset")))

    def _artifact_total_of(self, filters: tuple[str, ...]) -> Statement:
        return self._db.compile(_filtered(select(func.count()), filters))


def _filtered(found: Select[Any], filters: tuple[str, ...]) -> Select[Any]:
    found = found.select_from(artifacts).where(_artifact.tenant_id == param("tenant_id"))
    for name in filters:
        found = found.where(_artifact[name] == param(name))
    return found
