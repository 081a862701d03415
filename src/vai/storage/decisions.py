"""Reading decisions; they are written with the changes of their runs."""

from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, exists, func, literal_column, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Update
from sqlalchemy.sql.functions import GenericFunction

from vai.domain.status import DecisionStatus
from vai.ports import DecisionFilter, DecisionRecord, Page
from vai.storage.base import StoreBase
from vai.storage.decision_rows import CLOSING, DECISION, decision_record
from vai.storage.statements import Connection, Statement, param
from vai.storage.tables import decisions

_decision = decisions.c
_COLUMNS = [_decision[name] for name in DECISION]
_PENDING: ColumnElement[Any] = literal_column(f"'{DecisionStatus.PENDING.value}'")
_NOBODY: ColumnElement[Any] = literal_column("'[]'")


class _ElementsOf(GenericFunction[Any]):
    """The elements of an array in a column of JSON text, one a row."""

    inherit_cache = True


@compiles(_ElementsOf, "sqlite")
def _on_sqlite(element: _ElementsOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_ElementsOf, "postgresql")
def _on_postgres(element: _ElementsOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def close_decision(source: Any) -> Update:
    """What closes a pending decision; one that was decided stays as it is. Order: `CLOSING`."""
    values = [(_decision[name], source(name)) for name in CLOSING[:-1]]
    return update(decisions).ordered_values(*values).where(_decision.id == source("id"), _decision.status == _PENDING)


def closing_parameter(name: str) -> ColumnElement[Any]:
    """The value as a parameter of the statement."""
    return bindparam(name, type_=_decision[name].type)


class Decisions(StoreBase):
    """The `DecisionStore` part of the store."""

    def _build(self) -> None:
        super()._build()
        tenant = _decision.tenant_id == param("tenant_id")
        self._decision = self._db.compile(select(*_COLUMNS).where(_decision.id == param("id"), tenant))
        self._decision_page = lru_cache(self._page_of)
        self._decision_total = lru_cache(self._total_of)

    async def decision(self, tenant_id: str, decision_id: str) -> DecisionRecord | None:
        """The tenant's decision, or None."""
        params = {"tenant_id": tenant_id, "id": decision_id}
        row = await self._db.read(lambda c: self._decision.one(c, params), is_keyed=True)
        return None if row is None else decision_record(row)

    async def decisions(self, query: DecisionFilter) -> Page:
        """The tenant's decisions, newest first."""
        found, total = await self._db.snapshot(lambda c: self._decisions(c, query))
        return Page([decision_record(row) for row in found], total)

    def _decisions(self, connection: Connection, query: DecisionFilter) -> tuple[Any, int]:
        names = None if query.assigned_to is None else len(query.assigned_to)
        shape = (len(query.statuses), query.run_id is not None, names)
        params: dict[str, Any] = {"tenant_id": query.tenant_id, "run_id": query.run_id}
        params |= {f"status_{i}": status.value for i, status in enumerate(query.statuses)}
        params |= {f"name_{i}": name for i, name in enumerate(query.assigned_to or ())}
        total = int(self._decision_total(*shape).all(connection, params)[0][0])
        if query.limit == 0 or query.offset >= total:
            return (), total
        params |= {"limit": query.limit, "offset": query.offset}
        return self._decision_page(*shape).all(connection, params), total

    def _page_of(self, statuses: int, of_run: bool, names: int | None) -> Statement:
        found = _filtered(select(*_COLUMNS), statuses, of_run, names).order_by(_decision.id.desc())
        return self._db.compile(found.limit(param("limit")).offset(param("offset")))

    def _total_of(self, statuses: int, of_run: bool, names: int | None) -> Statement:
        count = select(func.count(literal_column("1"))).select_from(decisions)
        return self._db.compile(_filtered(count, statuses, of_run, names))


def _filtered(found: Select[Any], statuses: int, of_run: bool, names: int | None) -> Select[Any]:
    found = found.where(_decision.tenant_id == param("tenant_id"))
    if statuses:
        found = found.where(_decision.status.in_([param(f"status_{i}") for i in range(statuses)]))
    if of_run:
        found = found.where(_decision.run_id == param("run_id"))
    if names is not None:
        name = _ElementsOf(_decision.assignees).table_valued("value").c.value
        is_named = exists(select(literal_column("1")).where(name.in_([param(f"name_{i}") for i in range(names)])))
        found = found.where(or_(_decision.assignees == _NOBODY, is_named))
    return found
