"""`duckdb_transform` on real DuckDB files."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.actions.context import Context
from vai.ports import ActionFailed, Actions, ActionStopped

pytestmark = pytest.mark.process


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "made" / "x.duckdb")


async def transform(kinds: Actions, context: Context, database: str, **definition: Any) -> Any:
    action = kinds.get("duckdb_transform")
    assert action is not None
    return await action.run({"database": database, **definition}, context)


async def refused(kinds: Actions, context: Context, database: str, **definition: Any) -> Any:
    with pytest.raises(ActionFailed) as caught:
        await transform(kinds, context, database, **definition)
    return caught.value.error


def rows_of(database: str, sql: str) -> list[Any]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


async def test_statements_in_order_and_the_last_rows(kinds: Actions, context: Context, database: str) -> None:
    result = await transform(
        kinds,
        context,
        database,
        statements=[
            "create table t as select range as n from range(10)",
            "select 'not the last'",
            "insert into t values ($extra), ($extra); select n, n * 0.5 as half from t where n > $least order by n",
        ],
        parameters={"extra": 100, "least": 7},
        maxRows=2,
    )
    assert result == {
        "statements": 4,
        "rowsChanged": 12,
        "columns": ["n", "half"],
        "rows": [{"n": 8, "half": 4}, {"n": 9, "half": 4.5}],
        "rowCount": 4,
        "rowsTruncated": True,
    }
    assert context.told[-1] == {"phase": "completed", "done": 4, "total": 4, "rows": 4}


async def test_values_that_json_can_hold(kinds: Actions, context: Context) -> None:
    sql = (
        "select 1.50::decimal(9,2) d, timestamptz '2026-01-01 00:00:00+00' t, 'nan'::double n, [1, 2] l,"
        " {'a': 2.5} s, 1::hugeint * 9223372036854775807 * 10 h, null x, date '2026-01-02' dd"
    )
    (row,) = (await transform(kinds, context, ":memory:", sql=sql))["rows"]
    assert row == {
        "d": 1.5,
        "t": "2026-01-01T00:00:00Z",
        "n": None,
        "l": [1, 2],
        "s": {"a": 2.5},
        "h": "92233720368547758070",
        "x": None,
        "dd": "2026-01-02",
    }


@pytest.mark.parametrize("transaction, left", [(True, 0), (False, 1)])
async def test_what_fails_is_undone(
    kinds: Actions, context: Context, database: str, transaction: bool, left: int
) -> None:
    statements = ["create table t as select 1", "select * from nowhere"]
    error = await refused(kinds, context, database, statements=statements, transaction=transaction)
    assert error.type == "sql_error"
    assert "Statement 2 of 2 failed" in error.message
    assert "nowhere" in error.message
    assert "\n" not in error.message
    assert error.details["place"].startswith("LINE 1: select * from nowhere")
    assert rows_of(database, "select count(*) from duckdb_tables()") == [(left,)]


@pytest.mark.parametrize(
    "sql, passes",
    [
        ("select count(*) = 3 from t", True),
        ("select count(*) = 4 from t", False),
        ("select null::boolean", False),
        ("select * from t where n > $most", True),
        ("select * from t where n > 0", False),
    ],
)
async def test_expectations(kinds: Actions, context: Context, database: str, sql: str, passes: bool) -> None:
    definition: Any = {
        "sql": "create table t as select range as n from range(3)",
        "expectations": [{"name": "good", "sql": "select true"}, {"name": "asked", "sql": sql}],
        "parameters": {"most": 5},
    }
    if passes:
        result = await transform(kinds, context, database, **definition)
        assert [check["passed"] for check in result["checks"]] == [True, True]
        return
    error = await refused(kinds, context, database, **definition)
    assert (error.type, error.message) == ("check_failed", "1 of 2 checks failed: asked.")
    (failed,) = error.details["failed"]
    assert failed["name"] == "asked"
    assert rows_of(database, "select count(*) from duckdb_tables()") == [(0,)]


async def test_rows_of_a_failed_check_are_shown(kinds: Actions, context: Context) -> None:
    expectation = {"name": "all", "sql": "select range as n from range(100)"}
    error = await refused(kinds, context, ":memory:", expectations=[expectation])
    (failed,) = error.details["failed"]
    assert failed["rowCount"] == 100
    assert failed["rows"] == [{"n": n} for n in range(5)]


@pytest.mark.parametrize(
    "definition, error_type, words",
    [
        ({"sql": "selec 1"}, "sql_error", "The SQL cannot be read"),
        ({"sql": "select $missing"}, "invalid_definition", "$missing"),
        ({"sql": "from 'none.csv'"}, "file_not_found", "none.csv"),
        ({"sql": "select 1", "readOnly": True}, "file_not_found", "cannot be opened"),
        ({"sql": "select 1", "attach": [{"database": "none.db", "alias": "o"}]}, "file_not_found", "none.db"),
    ],
)
async def test_failures(
    kinds: Actions, context: Context, database: str, definition: Any, error_type: str, words: str
) -> None:
    error = await refused(kinds, context, database, **definition)
    assert error.type == error_type
    assert words in error.message


async def test_attached_databases(kinds: Actions, context: Context, database: str, tmp_path: Path) -> None:
    other = str(tmp_path / "it's.duckdb")
    await transform(kinds, context, other, sql="create table t as select 42 as n")
    attach = [{"database": other, "alias": "other"}]
    result = await transform(kinds, context, database, sql="select n from other.t", attach=attach)
    assert result["rows"] == [{"n": 42}]


async def test_steps_that_write_to_one_file_take_turns(kinds: Actions, database: str) -> None:
    contexts = [Context(step_key=f"s{n}") for n in range(3)]
    await asyncio.gather(
        *(
            transform(kinds, context, database, sql=f"create table t{n} as select {n}")
            for n, context in enumerate(contexts)
        )
    )
    assert rows_of(database, "select count(*) from duckdb_tables()") == [(3,)]
    queued = [fields for context in contexts for fields in context.told if fields["phase"] == "queued"]
    assert queued
    assert all("x.duckdb" in fields["message"] for fields in queued)


HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


async def test_another_program_has_it_open(kinds: Actions, context: Context, database: str) -> None:
    Path(database).parent.mkdir()
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, database), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    await holder.stdout.readline()
    error = await refused(kinds, context, database, sql="select 1", lockTimeoutSeconds=0)
    assert (error.type, error.retryable) == ("database_locked", True)
    waiting = asyncio.create_task(transform(kinds, context, database, sql="select 1 as n"))
    await context.until_told(lambda fields: fields["phase"] == "queued")
    holder.stdin.close()
    await holder.wait()
    assert (await waiting)["rows"] == [{"n": 1}]


async def test_cancel_interrupts_a_long_statement(kinds: Actions, database: str) -> None:
    context = Context(grace_seconds=300)  # so that being killed is no way out
    endless = (
        "create table t as select count(*) from range(1000000000) a, range(1000000000) b where a.range % 7 = b.range"
    )
    task = asyncio.create_task(transform(kinds, context, database, sql=endless))
    await context.until_told(lambda fields: fields["phase"] == "running")
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
    assert rows_of(database, "select count(*) from duckdb_tables()") == [(0,)]
