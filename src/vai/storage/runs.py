"""Runs, their steps and their events: the `RunStore` part of the store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, and_, bindparam, func, literal_column, select

from vai.domain.events import Event
from vai.ports import (
    ActionRunFilter,
    ActionRunRecord,
    Busy,
    Created,
    LoadedRun,
    NewRun,
    Outcome,
    Page,
    RunChange,
    RunFilter,
    RunRecord,
    StepRecord,
    StoredEvent,
)
from vai.storage import jobs, rows
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.run_lists import RunLists
from vai.storage.statements import Connection, param
from vai.storage.tables import artifacts, automation_runs, automation_versions, decisions, events, steps

_run = automation_runs.c
_step = steps.c

RUN_COLUMNS = [_run[name] for name in rows.RUN]
_ANY_ATTEMPT = 2**31 - 1


class _Statements:
    def __init__(self, db: Database) -> None:
        tenant, run_id = param("tenant_id"), param("run_id")
        self.run = db.compile(select(*RUN_COLUMNS).where(_run.id == run_id, _run.tenant_id == tenant))
        also = (_run.input, _run.payload, _run.stopping, _run.attempt_started_at, _run.lease_owner)
        first = select(events.c.data).where(events.c.run_id == _run.id, events.c.seq == 1).scalar_subquery()
        self.load = db.compile(
            select(*RUN_COLUMNS, *also, automation_versions.c.config, first)
            .join(automation_versions, automation_versions.c.id == _run.automation_version_id)
            .where(_run.id == run_id)
        )
        step_columns = [_step[name] for name in rows.STEP_READ]
        of_run = and_(_step.run_id == run_id, _step.attempt <= bindparam("attempt", type_=Integer()))
        # By attempt, so that the last row of a key is its latest.
        all_steps = select(*step_columns).where(of_run).order_by(_step.attempt)
        self.steps = db.compile(all_steps.where(_step.tenant_id == tenant))
        self.load_steps = db.compile(
            select(*step_columns, artifacts.c.content, decisions.c.on_expire)
            .outerjoin_from(steps, artifacts, artifacts.c.id == _step.artifact_id)
            .outerjoin(
                decisions,
                and_(decisions.c.id == _step.decision_id, decisions.c.status == literal_column("'pending'")),
            )
            .where(of_run)
            .order_by(_step.attempt)
        )
        self.events = db.compile(
            select(*[events.c[name] for name in rows.EVENT])
            .where(events.c.run_id == run_id, events.c.seq > param("after"))
            .order_by(events.c.seq)
            .limit(param("limit"))
        )
        self._of_automations(db)

    def _of_automations(self, db: Database) -> None:
        of_automation = and_(_run.tenant_id == param("tenant_id"), _run.automation_id == param("automation_id"))
        self.known_run = db.compile(
            select(*RUN_COLUMNS, _run.idempotency_hash).where(of_automation, _run.idempotency_key == param("key"))
        )
        self.newest_run_id = db.compile(select(func.max(_run.id)).where(of_automation))


class Runs(StoreBase):
    """Writes of runs go to the writer as ready rows; reads go beside it."""

    def _build(self) -> None:
        super()._build()
        self._run_sql = _Statements(self._db)
        self._run_lists = RunLists(self._db, RUN_COLUMNS)

    async def create_run(self, new: NewRun) -> Created | Busy:
        """See `RunStore.create_run`."""
        writer = self._open_writer
        created: Created | Busy = await writer.put(jobs.creation(writer.future(), new))
        return created

    async def known_run(self, tenant_id: str, automation_id: str, idempotency_key: str) -> Created | None:
        """The run that this key started, or None."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id, "key": idempotency_key}
        row = await self._db.read(lambda c: self._run_sql.known_run.one(c, params), is_keyed=True)
        return None if row is None else Created(rows.run_record(row), False, row[-1])

    async def commit(self, change: RunChange) -> Outcome:
        """Write a change whole, or nothing of it."""
        writer = self._open_writer
        outcome: Outcome = await writer.put(jobs.change(writer.future(), change))
        return outcome

    async def append(self, run_id: str, lease_owner: str | None, attempt: int, events: Sequence[Event]) -> bool:
        """Store events that change no state. False: the lease is gone, or the run is final or in another attempt."""
        writer = self._open_writer
        stored: bool = await writer.put(jobs.append(writer.future(), run_id, lease_owner, attempt, events))
        return stored

    async def load(self, run_id: str) -> LoadedRun | None:
        """All that is needed to drive the run, as of one moment. None: there is no such run."""
        sql = self._run_sql

        def work(connection: Connection) -> tuple[Any, Sequence[Any]]:
            run = sql.load.one(connection, {"run_id": run_id})
            params = {"run_id": run_id, "attempt": _ANY_ATTEMPT}
            return run, () if run is None else sql.load_steps.all(connection, params)

        row, step_rows = await self._db.snapshot(work, is_keyed=True)
        if row is None:
            return None
        input_text, payload, stopping, attempt_started_at, lease_owner, config, created = row[len(rows.RUN) :]
        began = rows.json_or_none(created) or {}
        latest = {row[2]: row for row in step_rows}
        return LoadedRun(
            run=rows.run_record(row),
            input=rows.from_json(input_text),
            payload=rows.from_json(payload),
            config=rows.from_json(config),
            stopping=stopping,
            attempt_started_at=attempt_started_at,
            steps=[rows.step_record(row[:-2], whole=row[-2], on_expire=row[-1]) for row in latest.values()],
            lease_owner=lease_owner,
            traceparent=began.get("traceparent"),
            trigger=began.get("trigger") or {},
        )

    async def run(self, tenant_id: str, run_id: str) -> RunRecord | None:
        """The tenant's run, or None."""
        params = {"tenant_id": tenant_id, "run_id": run_id}
        row = await self._db.read(lambda c: self._run_sql.run.one(c, params), is_keyed=True)
        return None if row is None else rows.run_record(row)

    async def runs(self, query: RunFilter) -> Page:
        """The tenant's runs, newest first."""
        found, total = await self._db.snapshot(lambda c: self._run_lists.runs(c, query))
        return Page([rows.run_record(row) for row in found], total)

    async def steps(self, tenant_id: str, run_id: str, attempt: int | None = None) -> Sequence[StepRecord]:
        """The latest row of each step that has one, as of the run's `attempt` (default: the last)."""
        params = {
            "tenant_id": tenant_id,
            "run_id": run_id,
            "attempt": _ANY_ATTEMPT if attempt is None else attempt,
        }
        found = await self._db.read(lambda c: self._run_sql.steps.all(c, params), is_keyed=True)
        latest = {row[2]: row for row in found}
        return [rows.step_record(row) for row in latest.values()]

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:
        """The run's events with numbers above `after`, in their order."""
        params = {"run_id": run_id, "after": after, "limit": limit}
        found = await self._db.read(lambda c: self._run_sql.events.all(c, params), is_keyed=True)
        return [StoredEvent(*row) for row in found]

    async def action_run(self, tenant_id: str, action_run_id: str) -> ActionRunRecord | None:
        """The tenant's action run, or None."""
        row = await self._db.read(lambda c: self._run_lists.action_run(c, tenant_id, action_run_id), is_keyed=True)
        return None if row is None else rows.action_run_record(row)

    async def action_runs(self, query: ActionRunFilter) -> Page:
        """The tenant's action runs, newest first."""
        found, total = await self._db.snapshot(lambda c: self._run_lists.action_runs(c, query))
        return Page([rows.action_run_record(row) for row in found], total)

    async def latest_runs(self, tenant_id: str, automation_ids: Sequence[str]) -> dict[str, RunRecord]:
        """The newest run of each of these automations that has one."""
        sql = self._run_sql

        def work(connection: Connection) -> list[Any]:
            found = []
            for automation_id in automation_ids:
                params = {"tenant_id": tenant_id, "automation_id": automation_id}
                run_id = sql.newest_run_id.all(connection, params)[0][0]
                if run_id is not None:
                    found.append(sql.run.one(connection, {"tenant_id": tenant_id, "run_id": run_id}))
            return found

        records = [rows.run_record(row) for row in await self._db.read(work) if row is not None]
        return {record.automation_id: record for record in records}
