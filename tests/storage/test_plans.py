"""The frequent questions are answered from indexes: no plan reads a whole table or sorts one."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from vai.storage.statements import Statement
from vai.storage.store import SqlStore

PARAMS = {
    "since": 0,
    "limit": 10,
    "before": 0,
    "offset": 0,
    "through": 10,
    "after": 0,
    "attempt": 1,
    "now": 0,
    "try_number": 1,
}

STATEMENTS: dict[str, Callable[[SqlStore], Statement]] = {
    "run": lambda s: s._run_sql.run,
    "load": lambda s: s._run_sql.load,
    "steps": lambda s: s._run_sql.steps,
    "load steps": lambda s: s._run_sql.load_steps,
    "events": lambda s: s._run_sql.events,
    "newest run": lambda s: s._run_sql.newest_run_id,
    "artifact": lambda s: s._artifact,
    "artifacts": lambda s: s._artifact_page(()),
    "artifacts of an action run": lambda s: s._artifact_page(("action_run_id",)),
    "place of a content": lambda s: s._attachment_sql.place,
    "files of a step": lambda s: s._attachment_sql.others,
    "file of a name": lambda s: s._attachment_sql.same_name,
    "names of a place": lambda s: s._attachment_sql.held,
    "known places": lambda s: s._attachment_sql.known,
    "step at work": lambda s: s._attachment_sql.step,
    "runs": lambda s: s._run_lists.run_page(0, False),
    "runs of a status": lambda s: s._run_lists.run_page(1, False),
    "runs of two statuses": lambda s: s._run_lists.run_page(2, False),
    "runs of an automation": lambda s: s._run_lists.run_page(0, True),
    "total of runs": lambda s: s._run_lists.run_total(1, False),
    "total of an automation's runs": lambda s: s._run_lists.run_total(0, True),
    "action run": lambda s: s._run_lists._action_run,
    "action runs": lambda s: s._run_lists.action_run_page(()),
    "action runs of a run": lambda s: s._run_lists.action_run_page(("run_id",)),
    "claim what is due": lambda s: s._lease_sql.claim_due,
    "claim what may begin": lambda s: s._lease_sql.claim_at_once,
    "claim one": lambda s: s._lease_sql.claim_run,
    "orphans": lambda s: s._lease_sql.free_orphans,
    "first to begin": lambda s: s._lease_sql.first_at_once,
    "next due": lambda s: s._lease_sql.next_due,
    "pending events": lambda s: s._event_sql.pending,
    "steps that wait": lambda s: s._event_sql.awaiting,
    "more steps that wait": lambda s: s._event_sql.awaiting_after,
    "steps that look back": lambda s: s._event_sql.looking_back,
    "events since": lambda s: s._event_sql.since,
    "events of a type": lambda s: s._event_page(("event_type",)),
    "events of a cause": lambda s: s._event_page(("correlation_id",)),
    "old events": lambda s: s._event_sql.remove,
    "removable": lambda s: s._retention_sql.oldest,
    "removal": lambda s: s._retention_sql.lock,
    **{f"removal {n}": lambda s, n=n: s._retention_sql.remove[n] for n in range(7)},  # type: ignore[misc]
    "sweep": lambda s: s._retention_sql.sweep,
    "triggers of an automation": lambda s: s._trigger_sql.of_automation,
    "due triggers": lambda s: s._trigger_sql.due,
    "webhook": lambda s: s._trigger_sql.webhook,
    "next trigger due": lambda s: s._trigger_sql.next_due,
    "giving way": lambda s: s._upkeep_sql.giving_way,
    "orphaned children": lambda s: s._upkeep_sql.orphans,
    "ended children": lambda s: s._upkeep_sql.ended_children,
    "key": lambda s: s._access_sql.key_by_hash,
}


def values(statement: Statement) -> list[Any]:
    given = {name: value for name, value in statement.defaults.items() if value is not None} | PARAMS
    return [given.get(name, "x") for name in statement.names]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", STATEMENTS)
async def test_sqlite_searches_by_index(store: SqlStore, name: str) -> None:
    statement = STATEMENTS[name](store)
    explained = f"EXPLAIN QUERY PLAN {statement.text}"
    plan = await store._db.read(lambda c: c.execute(explained, values(statement)).fetchall())
    lines = [row[3] for row in plan]
    # The index of keys holds live runs alone, and is read whole for those that ask others to give way; that of events
    # holds those that were not told of.
    live = "newer USING INDEX ix_automation_runs_concurrency_key|tenant_events USING INDEX ix_tenant_events_pending"
    small = rf"walk_|found|page|engines|\(subquery|{live}"
    assert not [line for line in lines if re.match(rf"SCAN (?!{small})", line)], lines
    # A page may be sorted, for it is small, and so may the newest of each status; the rest comes in order.
    sorts = [line for line in lines if "TEMP B-TREE FOR ORDER BY" in line]
    assert len(sorts) <= (3 if name == "runs of two statuses" else 1), lines


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", STATEMENTS)
async def test_postgres_searches_by_index(store: SqlStore, name: str) -> None:
    statement = STATEMENTS[name](store)

    def explain(connection: Any) -> list[str]:
        # The tables are empty, and small tables are best read whole: ask what the indexes allow.
        connection.execute("SET enable_seqscan = off")
        found = connection.execute(f"EXPLAIN {statement.text}", values(statement)).fetchall()
        connection.execute("RESET enable_seqscan")
        return [row[0] for row in found]

    lines = await store._db.read(explain)
    scans = [line for line in lines if "Seq Scan" in line and "engines" not in line]
    assert not scans, lines
