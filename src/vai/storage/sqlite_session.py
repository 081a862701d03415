"""The writer's connection to SQLite: a batch of jobs as one transaction."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

from vai.domain.status import RunStatus
from vai.ports import Busy, Conflict, Created, Landed
from vai.storage import rows
from vai.storage.decision_rows import CLOSING, DECISION
from vai.storage.decisions import close_decision, closing_parameter
from vai.storage.jobs import Call, Committed, Creation, Edit, Job, stored_events
from vai.storage.rows import Row
from vai.storage.run_writes import (
    admitted,
    append_to_run,
    change_run,
    holder,
    or_known,
    or_replace_step,
    parameter,
)
from vai.storage.statements import Statement, param
from vai.storage.tables import artifacts, automation_runs, decisions, events, steps

_Text = Callable[[Any, Sequence[str]], str]


def _all_of(names: Sequence[str]) -> dict[str, Any]:
    return {name: param(name) for name in names}


class Statements:
    """The writer's statements as text; the order of their parameters is checked against that of the rows."""

    def __init__(self, dialect: Dialect) -> None:
        def text(clause: Any, names: Sequence[str]) -> str:
            statement = Statement(clause, dialect)
            if statement.names != tuple(names):
                raise AssertionError(f"{statement.names} is not the rows' order {tuple(names)}")
            return statement.text

        self._of_runs(text)
        self._of_parts(text)

    def _of_runs(self, text: _Text) -> None:
        run = automation_runs.c
        returned = (run.version, run.event_seq)
        insert_run = or_known(sqlite.insert(automation_runs).values(_all_of(rows.NEW_RUN)))
        self.create = text(insert_run.returning(run.id), rows.NEW_RUN)
        self.known = text(
            select(*[run[name] for name in rows.RUN], run.idempotency_hash).where(
                and_(
                    run.tenant_id == param("tenant_id"),
                    run.automation_id == param("automation_id"),
                    run.idempotency_key == param("key"),
                )
            ),
            ("tenant_id", "automation_id", "key"),
        )
        self.holder = text(holder(param), ("tenant_id", "concurrency_key"))
        self.admitted = text(admitted(param), ("tenant_id", "concurrency_key"))
        self.change = text(change_run(parameter).returning(*returned), rows.CHANGE)
        self.append = text(append_to_run(parameter).returning(*returned), rows.APPEND)

    def _of_parts(self, text: _Text) -> None:
        step = steps.c
        upsert_step = or_replace_step(sqlite.insert(steps).values(_all_of(rows.STEP)))
        self.step = text(upsert_step, rows.STEP)
        self.event = text(insert(events).values(_all_of(rows.EVENT)), rows.EVENT)
        self.artifact = text(insert(artifacts).values(_all_of(rows.ARTIFACT)), rows.ARTIFACT)
        self.open_decision = text(insert(decisions).values(_all_of(DECISION)), DECISION)
        self.close_decision = text(close_decision(closing_parameter), CLOSING)
        set_progress = update(steps).ordered_values(
            (step.progress, param("progress")), (step.updated_at, param("updated_at"))
        )
        self.progress = text(
            set_progress.where(
                and_(
                    step.run_id == param("run_id"),
                    step.attempt == param("attempt"),
                    step.key == param("key"),
                )
            ),
            rows.PROGRESS,
        )


class SqliteSession:
    """Writes batches. Edits and creations are written by `executemany`; the guard of each is its own statement."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: Statements,
        explain: Callable[[Exception], Exception],
    ) -> None:
        self._connection = connection
        self._explain = explain
        self._cursor = connection.cursor()
        self._sql = statements
        self._steps: list[Row] = []
        self._events: list[Row] = []
        self._artifacts: list[Row] = []
        self._progress: list[Row] = []
        self._opened: list[Row] = []
        self._closed: list[Row] = []
        self._committed: list[Committed] = []

    def apply(self, jobs: Sequence[Job]) -> tuple[list[Any], list[Committed]]:
        """See `Session.apply`."""
        self._forget()
        self._cursor.execute("BEGIN IMMEDIATE")
        answers = [self._do(job) for job in jobs]
        self._flush()
        self._cursor.execute("COMMIT")
        return answers, self._committed

    def reset(self) -> None:
        """Roll back what a failed batch left."""
        self._forget()
        if self._connection.in_transaction:
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _forget(self) -> None:
        self._steps, self._events, self._artifacts, self._progress = [], [], [], []
        self._opened, self._closed = [], []
        self._committed = []

    def _do(self, job: Job) -> Any:
        if isinstance(job, Edit):
            return self._edit(job)
        if isinstance(job, Creation):
            return self._create(job)
        if isinstance(job, Call):
            return self._call(job)
        raise TypeError(f"Not a job: {job!r}")

    def _edit(self, job: Edit) -> Any:
        sql = self._sql.append if job.is_append else self._sql.change
        landed = self._cursor.execute(sql, job.row).fetchall()
        if not landed:
            return False if job.is_append else Conflict()
        version, last = landed[0]
        self._number(job.run_id, last, job)
        self._steps += job.steps
        self._artifacts += job.artifacts
        self._progress += job.progress
        self._opened += job.opened
        self._closed += job.closed
        if job.frees is not None:
            self._committed += self._admitted(job.frees)
        return True if job.is_append else Landed(version, last)

    def _admitted(self, key: tuple[str, str]) -> list[Committed]:
        """The runs of a key whose turn it is, and that nobody drives yet."""
        found = self._cursor.execute(self._sql.admitted, key).fetchall()
        return [Committed(row[0], RunStatus.PENDING, ()) for row in found]

    def _create(self, job: Creation) -> Created | Busy:
        new = job.new
        run = rows.run_record(job.row)
        if self._cursor.execute(self._sql.create, job.row).fetchall():
            self._number(run.id, len(job.events), job)
            return Created(run, True, new.idempotency_hash)
        known = (run.tenant_id, run.automation_id, new.idempotency_key)
        first = self._cursor.execute(self._sql.known, known).fetchall()
        if not first:
            holder = self._cursor.execute(self._sql.holder, (run.tenant_id, run.concurrency_key)).fetchall()
            return Busy(holder[0][0] if holder else None)
        return Created(rows.run_record(first[0]), False, first[0][-1])

    def _number(self, run_id: str, last: int, job: Edit | Creation) -> None:
        stored = stored_events(run_id, last, job.events)
        first = last - len(job.events) + 1
        self._events += [(run_id, seq, *body) for seq, body in enumerate(job.events, first)]
        status = job.status if isinstance(job, Edit) else job.new.record.status
        self._committed.append(Committed(run_id, status, stored))

    def _call(self, job: Call) -> Any:
        self._flush()  # a call may delete or read what the jobs before it wrote
        self._cursor.execute("SAVEPOINT call")
        try:
            answer = job.work(self._connection)
        except sqlite3.OperationalError:
            raise  # the disk, not the job: the whole batch fails
        except Exception as error:
            self._cursor.execute("ROLLBACK TO call")
            self._cursor.execute("RELEASE call")
            return self._explain(error)
        self._cursor.execute("RELEASE call")
        self._committed += [Committed(run_id, None, ()) for run_id in job.touched]
        return answer

    def _flush(self) -> None:
        for sql, waiting in (
            (self._sql.step, self._steps),
            (self._sql.event, self._events),
            (self._sql.artifact, self._artifacts),
            (self._sql.progress, self._progress),
            (self._sql.open_decision, self._opened),
            (self._sql.close_decision, self._closed),  # after those it may close
        ):
            if waiting:
                self._cursor.executemany(sql, waiting)
                waiting.clear()
