"""The rows that a workload writes, without anything that decides them: what the bare limits are measured with."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

Row = tuple[Any, ...]
Waves = list[list[str]]
"""The keys of the steps that run together, in order."""

TABLES = (
    "CREATE TABLE bare_runs (id varchar(36) PRIMARY KEY, tenant_id varchar(36), automation_id varchar(36), "
    "status varchar(64), trigger_type varchar(64), input text, created_at bigint, updated_at bigint, "
    "completed_at bigint, lease_owner varchar(36), version bigint, event_seq bigint)",
    "CREATE TABLE bare_steps (run_id varchar(36), attempt integer, key varchar(255), action_run_id varchar(36), "
    "status varchar(64), started_at bigint, completed_at bigint, result text, kind varchar(255), definition text, "
    "updated_at bigint, PRIMARY KEY (run_id, attempt, key))",
    "CREATE TABLE bare_events (run_id varchar(36), seq bigint, type varchar(64), attempt integer, "
    "step_key varchar(255), occurred_at bigint, data text, PRIMARY KEY (run_id, seq))",
)
NEW_RUN = "INSERT INTO bare_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
RUN = (
    "UPDATE bare_runs SET status = ?, updated_at = ?, completed_at = ?, version = version + 1, "
    "event_seq = event_seq + ? WHERE id = ? AND version = ?"
)
STEP = (
    "INSERT INTO bare_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, attempt, key) DO UPDATE SET "
    "status = excluded.status, completed_at = excluded.completed_at, result = excluded.result, "
    "updated_at = excluded.updated_at"
)
EVENT = "INSERT INTO bare_events VALUES (?, ?, ?, ?, ?, ?, ?)"

_NOW = 1_700_000_000_000
_SOME_ID = str(uuid4())


@dataclass
class Commit:
    """Everything that one commit writes."""

    new_runs: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def statements(self) -> list[tuple[str, list[Row]]]:
        """The statements with their rows, without the empty ones."""
        of_all = ((NEW_RUN, self.new_runs), (RUN, self.runs), (STEP, self.steps), (EVENT, self.events))
        return [(sql, rows) for sql, rows in of_all if rows]


def diamond(width: int) -> Waves:
    """One step, `width` together, one."""
    return [["first"], [f"m{n}" for n in range(width)], ["last"]]


def chain(length: int) -> Waves:
    """One step after another."""
    return [[f"s{n}"] for n in range(length)]


def commits(runs: int, waves: Waves) -> list[Commit]:
    """The commits of `runs` new runs that go in step: accepted, then each wave's end with the next one's start."""
    ids = [str(uuid4()) for _ in range(runs)]
    found = [Commit() for _ in range(len(waves) + 2)]
    for run_id in ids:
        _one_run(run_id, waves, found)
    return found


def _one_run(run_id: str, waves: Waves, found: list[Commit]) -> None:
    row = (run_id, _SOME_ID, _SOME_ID, "pending", "manual", "null", _NOW, _NOW, None, _SOME_ID, 1, 1)
    found[0].new_runs.append(row)
    found[0].events.append(_event(run_id, 1, "run.created", None))
    seq = 1
    for number, commit in enumerate(found[1:]):
        done = waves[number - 1] if number else []
        begun = waves[number] if number < len(waves) else []
        told = [("step.completed", key) for key in done] + [("step.started", key) for key in begun]
        told += [("run.started", "")] * (number == 0) + [("run.completed", "")] * (not begun)
        commit.steps += [_step(run_id, key, "completed") for key in done]
        commit.steps += [_step(run_id, key, "running") for key in begun]
        commit.events += [_event(run_id, seq + n, kind, key or None) for n, (kind, key) in enumerate(told, 1)]
        seq += len(told)
        ended = None if begun else _NOW
        commit.runs.append(("running" if begun else "completed", _NOW, ended, len(told), run_id, number + 1))


def _step(run_id: str, key: str, status: str) -> Row:
    ended = _NOW if status == "completed" else None
    return (run_id, 1, key, _SOME_ID, status, _NOW, ended, ended and "{}", "noop", "{}", _NOW)


def _event(run_id: str, seq: int, kind: str, key: str | None) -> Row:
    return (run_id, seq, kind, 1, key, _NOW, '{"tries":1,"attempt":1}')
