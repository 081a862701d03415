"""Lists of runs and action runs: the ids of a page are found in an index first, then their rows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import func, literal_column, select, union_all
from sqlalchemy.sql import ColumnElement, Select

from vai.ports import ActionRunFilter, RunFilter
from vai.storage import rows
from vai.storage.database import Database
from vai.storage.statements import Connection, Statement, param
from vai.storage.tables import automation_runs, run_counts, steps

_run = automation_runs.c
_step = steps.c


class RunLists:
    """Statements for each combination of filters, compiled when first asked for."""

    def __init__(self, db: Database, run_columns: Sequence[ColumnElement[Any]]) -> None:
        self._db = db
        self._run_columns = run_columns
        self.run_page = lru_cache(self._run_page)
        self.run_total = lru_cache(self._run_total)
        self.action_run_page = lru_cache(self._action_run_page)
        self.action_run_total = lru_cache(self._action_run_total)
        extra = (*(_step[n] for n in ("kind", "tenant_id")), _run.trigger_source_type, _run.trigger_source_id)
        self._action_runs = select(
            *[_step[name] for name in rows.STEP_READ], *extra, _step.created_at, _step.updated_at
        ).join_from(steps, automation_runs, _run.id == _step.run_id)
        self._action_run = db.compile(
            self._action_runs.where(
                _step.tenant_id == param("tenant_id"), _step.action_run_id == param("action_run_id")
            )
        )

    # --- runs ------------------------------------------------------------------------------------------------

    def runs(self, connection: Connection, query: RunFilter) -> tuple[Sequence[Any], int]:
        """The rows of a page of runs, newest first, and how many there are in all."""
        statuses = list(dict.fromkeys(query.statuses))
        params: dict[str, Any] = {f"status_{i}": status.value for i, status in enumerate(statuses)}
        params |= {"tenant_id": query.tenant_id, "automation_id": query.automation_id}
        by_automation = query.automation_id is not None
        total = self.run_total(len(statuses), by_automation).all(connection, params)[0][0] or 0
        if query.limit == 0 or query.offset >= total:
            return (), int(total)
        params |= {"limit": query.limit, "offset": query.offset, "through": query.limit + query.offset}
        return self.run_page(len(statuses), by_automation).all(connection, params), int(total)

    def _run_page(self, statuses: int, by_automation: bool) -> Statement:
        ids = select(_run.id).where(_run.tenant_id == param("tenant_id"))
        if by_automation:
            ids = ids.where(_run.automation_id == param("automation_id"))
        if statuses < 2 or by_automation:
            if statuses:
                ids = ids.where(_run.status.in_(_status_parameters(statuses)))
            ids = ids.order_by(_run.id.desc()).limit(param("limit")).offset(param("offset"))
            page = ids.subquery("page")
        else:
            page = self._merged(ids, statuses).subquery("page")
        rows_of_page = select(*self._run_columns).join(page, page.c.id == _run.id)
        return self._db.compile(rows_of_page.order_by(_run.id.desc()))

    def _merged(self, ids: Select[Any], statuses: int) -> Any:
        """The newest of each status, merged: each is a short walk along an index, however rare the status."""
        walks = [
            select(
                ids.where(_run.status == status)
                .order_by(_run.id.desc())
                .limit(param("through"))
                .subquery(f"walk_{i}")
                .c.id
            )
            for i, status in enumerate(_status_parameters(statuses))
        ]
        found = union_all(*walks).subquery("found")
        newest = select(found.c.id).order_by(found.c.id.desc())
        return newest.limit(param("limit")).offset(param("offset"))

    def _run_total(self, statuses: int, by_automation: bool) -> Statement:
        if by_automation:
            total = select(func.count()).where(
                _run.tenant_id == param("tenant_id"), _run.automation_id == param("automation_id")
            )
            column: ColumnElement[Any] = _run.status
        else:
            total = select(func.sum(run_counts.c.count)).where(run_counts.c.tenant_id == param("tenant_id"))
            column = run_counts.c.status
        if statuses:
            total = total.where(column.in_(_status_parameters(statuses)))
        return self._db.compile(total)

    # --- action runs -----------------------------------------------------------------------------------------

    def action_run(self, connection: Connection, tenant_id: str, action_run_id: str) -> Any:
        """The row of one action run, or None."""
        return self._action_run.one(connection, {"tenant_id": tenant_id, "action_run_id": action_run_id})

    def action_runs(self, connection: Connection, query: ActionRunFilter) -> tuple[Sequence[Any], int]:
        """The rows of a page of action runs, newest first, and how many there are in all."""
        asked = {"run_id": query.run_id, "kind": query.kind, "status": query.status}
        given = {name: str(value) for name, value in asked.items() if value is not None}
        filters = tuple(given)
        params: dict[str, Any] = {**given, "tenant_id": query.tenant_id}
        total = int(self.action_run_total(filters).all(connection, params)[0][0])
        if query.limit == 0 or query.offset >= total:
            return (), total
        params |= {"limit": query.limit, "offset": query.offset}
        return self.action_run_page(filters).all(connection, params), total

    def _action_run_page(self, filters: tuple[str, ...]) -> Statement:
        ids = _filtered(select(_step.action_run_id), filters).order_by(_step.action_run_id.desc())
        page = ids.limit(param("limit")).offset(param("offset")).subquery("page")
        found = self._action_runs.join(page, page.c.action_run_id == _step.action_run_id)
        found = found.where(_step.tenant_id == param("tenant_id"))
        return self._db.compile(found.order_by(_step.action_run_id.desc()))

    def _action_run_total(self, filters: tuple[str, ...]) -> Statement:
        return self._db.compile(_filtered(select(func.count(literal_column("1"))), filters))


def _filtered(ids: Select[Any], filters: tuple[str, ...]) -> Select[Any]:
    ids = ids.select_from(steps).where(_step.tenant_id == param("tenant_id"), _step.action_run_id.is_not(None))
    for name in filters:
        ids = ids.where(_step[name] == param(name))
    return ids


def _status_parameters(count: int) -> list[ColumnElement[Any]]:
    return [param(f"status_{i}") for i in range(count)]
