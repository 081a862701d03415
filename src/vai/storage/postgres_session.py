"""The writer's connection to PostgreSQL: a batch of jobs as one transaction, edits and creations in one round trip."""

import select
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure

from vai.ports import Busy, Conflict, Created, Landed
from vai.storage import rows
from vai.storage.jobs import Call, Committed, Creation, Edit, Job, stored_events
from vai.storage.postgres_batch import (
    APPEND_ROW,
    ARTIFACT_ROW,
    CHANGE_ROW,
    CLOSED_ROW,
    EVENT_ROW,
    OPENED_ROW,
    PROGRESS_ROW,
    RUN_ROW,
    STEP_ROW,
    BatchStatements,
    as_json,
)

CHANNEL = "vai"
QUEUE = "queue"  # in the place of a process: the triggers tell of runs whose turn it is by their concurrency key

_MOST_IDS = 180
"""How many run ids one notification carries: PostgreSQL takes less than 8,000 bytes."""

_TRIES = 5
"""How often a batch is begun again that another process's batch got in the way of."""

_SETTINGS = (
    # The batch statements join a parameter's rows with tables by key. Without statistics of the parameter the
    # planner would read whole tables.
    *("enable_hashjoin=off", "enable_mergejoin=off", "enable_seqscan=off", "jit=off"),
    "plan_cache_mode=force_generic_plan",
)

Answers = dict[Job, Any]


class PostgresSession:
    """Writes batches: first the calls, then new runs, then edits; several edits of one run in their order."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        statements: BatchStatements,
        explain: Callable[[Exception], Exception],
        process_id: str,
    ) -> None:
        self._connect = connect
        self._sql = statements
        self._explain = explain
        self._process_id = process_id
        self._connection = self._new_connection()

    def _new_connection(self) -> psycopg.Connection:
        connection = self._connect()
        for setting in _SETTINGS:
            connection.execute(f"SET {setting}".encode())
        connection.commit()
        return connection

    def apply(self, jobs: Sequence[Job]) -> tuple[list[Any], list[Committed]]:
        """See `Session.apply`."""
        if self._is_cut():
            self._connection.close()
            self._connection = self._new_connection()
        for left in reversed(range(_TRIES)):
            try:
                return self._transaction(jobs)
            except (DeadlockDetected, SerializationFailure):
                # Two processes wrote the same runs in different orders: one of them has to begin again.
                self._connection.rollback()
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _is_cut(self) -> bool:
        """True when the server closed the connection while it was idle, so that nothing can have been written."""
        if self._connection.closed:
            return True
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return False  # nothing was sent to us: it stands, or we cannot know better
        try:
            self._connection.execute("SELECT 1")
            self._connection.rollback()
        except psycopg.Error:
            return True
        return False

    def reset(self) -> None:
        """Roll back what a failed batch left, on a new connection when this one is lost."""
        if not self._connection.closed:
            try:
                self._connection.rollback()
                return
            except psycopg.Error:
                self._connection.close()
        self._connection = self._new_connection()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _transaction(self, jobs: Sequence[Job]) -> tuple[list[Any], list[Committed]]:
        answers: Answers = {}
        committed: list[Committed] = []
        for job in jobs:
            if isinstance(job, Call):
                answers[job] = self._call(job)
                committed += [Committed(run_id, None, ()) for run_id in job.touched]
        creations = [job for job in jobs if isinstance(job, Creation)]
        waves = _waves([job for job in jobs if isinstance(job, Edit)])
        with self._connection.pipeline():
            created = self._send_creations(creations) if creations else None
            landed = [(wave, self._send_edits(wave)) for wave in waves]
            self._notify([run.run_id for run in committed], creations, waves)
            self._connection.commit()
        if created is not None:
            self._take_creations(creations, created, answers, committed)
        for wave, cursors in landed:
            _take_edits(wave, cursors, answers, committed)
        return [answers[job] for job in jobs], committed

    def _call(self, job: Call) -> Any:
        job.touched.clear()
        try:
            with self._connection.transaction():
                return job.work(self._connection)
        except psycopg.OperationalError:
            raise  # the connection or the server, not the job: the whole batch fails
        except Exception as error:
            return self._explain(error)

    def _send_creations(self, creations: Sequence[Creation]) -> Any:
        return self._send(
            self._sql.create,
            run_rows=as_json(RUN_ROW, [(n, *job.row) for n, job in enumerate(creations)]),
            event_rows=as_json(EVENT_ROW, _event_rows(enumerate(creations))),
        )

    def _send_edits(self, wave: Sequence[Edit]) -> list[Any]:
        changes = [(n, job) for n, job in enumerate(wave) if not job.is_append]
        appends = [(n, job) for n, job in enumerate(wave) if job.is_append]
        cursors = []
        if changes:
            opened = [(n, *row) for n, job in changes for row in job.opened]
            closed = [(n, *row) for n, job in changes for row in job.closed]
            has_decisions = bool(opened or closed)
            more = {"opened_rows": as_json(OPENED_ROW, opened), "closed_rows": as_json(CLOSED_ROW, closed)}
            cursors.append(
                self._send(
                    self._sql.change_and_decisions if has_decisions else self._sql.change,
                    change_rows=as_json(CHANGE_ROW, [(n, *job.row) for n, job in changes]),
                    event_rows=as_json(EVENT_ROW, _event_rows(changes)),
                    step_rows=as_json(STEP_ROW, [(n, *row) for n, job in changes for row in job.steps]),
                    artifact_rows=as_json(ARTIFACT_ROW, [(n, *row) for n, job in changes for row in job.artifacts]),
                    **(more if has_decisions else {}),
                )
            )
        if appends:
            cursors.append(
                self._send(
                    self._sql.append,
                    append_rows=as_json(APPEND_ROW, [(n, *job.row) for n, job in appends]),
                    event_rows=as_json(EVENT_ROW, _event_rows(appends)),
                    progress_rows=as_json(PROGRESS_ROW, [(n, *row) for n, job in appends for row in job.progress]),
                )
            )
        return cursors

    def _send(self, statement: Any, **parameters: str) -> Any:
        values = [parameters[name] for name in statement.names]
        return self._connection.execute(statement.text.encode(), values, prepare=True)

    def _notify(self, touched: list[str], creations: Sequence[Creation], waves: Sequence[Sequence[Edit]]) -> None:
        # Of refused changes too: who hears of them looks, and finds nothing new.
        ids = dict.fromkeys(touched)
        ids.update((job.new.record.id, None) for job in creations)
        ids.update((job.run_id, None) for wave in waves for job in wave)
        everything = list(ids)
        payloads = [
            " ".join((self._process_id, *everything[at : at + _MOST_IDS]))
            for at in range(0, len(everything), _MOST_IDS)
        ]
        if payloads:
            self._connection.execute(
                b"SELECT pg_notify('%s', payload) FROM unnest(%%s::text[]) AS payload" % CHANNEL.encode(),
                [payloads],
                prepare=True,
            )

    def _take_creations(
        self, creations: Sequence[Creation], cursor: Any, answers: Answers, committed: list[Committed]
    ) -> None:
        is_new = {row[0] for row in cursor.fetchall()}
        for n, job in enumerate(creations):
            run = rows.run_record(job.row)
            if n in is_new:
                answers[job] = Created(run, True, job.new.idempotency_hash)
                stored = stored_events(run.id, len(job.events), job.events)
                committed.append(Committed(run.id, run.status, stored))
                continue
            params = {
                "tenant_id": run.tenant_id,
                "automation_id": run.automation_id,
                "key": job.new.idempotency_key,
            }
            first = self._sql.known.all(self._connection, params)
            if first:
                answers[job] = Created(rows.run_record(first[0]), False, first[0][-1])
            else:
                key = {"tenant_id": run.tenant_id, "concurrency_key": run.concurrency_key}
                busy = self._sql.holder.one(self._connection, key)
                answers[job] = Busy(None if busy is None else busy[0])
            self._connection.commit()


def _waves(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Edits in groups in which no run occurs twice: one statement sees each row once. Each group by the runs' ids,
    so that processes that write the same runs lock them in the same order."""
    waves: list[list[Edit]] = []
    seen: dict[str, int] = {}
    for edit in edits:
        at = seen.get(edit.run_id, 0)
        seen[edit.run_id] = at + 1
        if at == len(waves):
            waves.append([])
        waves[at].append(edit)
    for wave in waves:
        wave.sort(key=lambda edit: edit.run_id)
    return waves


def _event_rows(jobs: Any) -> list[rows.Row]:
    return [(n, i, *body) for n, job in jobs for i, body in enumerate(job.events, 1)]


def _take_edits(wave: Sequence[Edit], cursors: Sequence[Any], answers: Answers, committed: list[Committed]) -> None:
    landed = {n: (version, last) for cursor in cursors for n, version, last in cursor.fetchall()}
    for n, job in enumerate(wave):
        if n not in landed:
            answers[job] = False if job.is_append else Conflict()
            continue
        version, last = landed[n]
        answers[job] = True if job.is_append else Landed(version, last)
        committed.append(Committed(job.run_id, job.status, stored_events(job.run_id, last, job.events)))
