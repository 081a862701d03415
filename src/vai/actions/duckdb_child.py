"""SQL on DuckDB inside a child process: statements in order, in one transaction, then the expectations."""

import os
import time
from pathlib import Path
from typing import Any

import duckdb

from vai.actions.duckdb_values import plain
from vai.ports import ActionContext, ActionFailed, ActionStopped

SHOWN_ROWS = 5
BATCH = 10_000
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0
ABSENT = ("No files found", "No such file", "does not exist")
TYPES: dict[type[Exception], str] = {duckdb.OutOfMemoryException: "out_of_memory"}


def run(request: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    """The result of a TransformDefinition. Raises ActionFailed, ActionStopped."""
    connection = connect(request, context)
    context.on_cancel(connection.interrupt)
    transform = Transform(request, context, connection)
    try:
        transform.attach()
        return transform.run()
    except duckdb.InterruptException:
        raise ActionStopped from None
    finally:
        connection.close()  # what is not committed is undone


def connect(request: dict[str, Any], context: ActionContext) -> duckdb.DuckDBPyConnection:
    """Open the database; while another program has it, try again until the time is over."""
    path, read_only = request["database"], request["read_only"]
    if path != ":memory:" and not read_only:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Nothing is left in the home directory of whoever runs the server.
    config: dict[str, Any] = {"extension_directory": os.path.join(request["data_dir"], "duckdb_extensions")}
    deadline, pause = time.monotonic() + request["lock_timeout_seconds"], FIRST_PAUSE
    while True:
        try:
            return duckdb.connect(path, read_only=read_only and path != ":memory:", config=config)
        except duckdb.Error as error:
            if "Could not set lock" not in str(error) or time.monotonic() > deadline:
                raise explained(error, f"The database {path} cannot be opened") from None
        if pause == FIRST_PAUSE:
            context.progress(phase="queued", message="Another program has the database open.")
        if context.cancelled:
            raise ActionStopped
        time.sleep(pause)
        pause = min(pause * 2, LAST_PAUSE)


def explained(error: duckdb.Error, what: str) -> ActionFailed:
    """DuckDB's error as a failure with a class that retry policies can name."""
    text = str(error)
    if "Could not set lock" in text:
        sentence = f"{what}: another program has it open."
        return ActionFailed("database_locked", sentence, retryable=True)
    reason, _, place = text.partition("\nLINE ")
    error_type = TYPES.get(type(error), "sql_error")
    if isinstance(error, duckdb.IOException) and any(sign in text for sign in ABSENT):
        error_type = "file_not_found"
    details = {"place": f"LINE {place}"} if place else {}
    return ActionFailed(error_type, f"{what}: {' '.join(reason.split())}", details=details)


class Transform:
    """One request on one connection."""

    def __init__(self, request: dict[str, Any], context: ActionContext, connection: duckdb.DuckDBPyConnection) -> None:
        self._request, self._context, self._connection = request, context, connection
        self._result: dict[str, Any] = {"statements": 0, "rowsChanged": 0}

    def attach(self) -> None:
        """Make the other databases known by their names."""
        self._connection.execute("SET TimeZone = 'UTC'")
        for other in self._request["attach"]:
            path = other["database"].replace("'", "''")
            mode = " (READ_ONLY)" if other["read_only"] else ""
            try:
                self._connection.execute(f"ATTACH '{path}' AS {other['alias']}{mode}")
            except duckdb.Error as error:
                raise explained(error, f"The database {other['database']} cannot be attached") from None

    def run(self) -> dict[str, Any]:
        """Statements, expectations, commit."""
        statements = self._statements()
        is_transaction = self._request["transaction"]
        if is_transaction:
            self._connection.begin()
        for number, statement in enumerate(statements, 1):
            self._context.progress(phase="running", done=number - 1, total=len(statements))
            self._execute(statement, number, len(statements))
        self._check()
        if is_transaction:
            self._connection.commit()
        rows = self._result.get("rowCount", self._result["rowsChanged"])
        total = len(statements) + len(self._request["expectations"])
        told = {"rows": rows} if statements else {}
        self._context.progress(phase="completed", done=total, total=total, **told)
        return {**self._result, "statements": len(statements)}

    def _statements(self) -> list[duckdb.Statement]:
        texts = [self._request["sql"]] if self._request["sql"] else self._request["statements"]
        found = []
        for number, text in enumerate(texts, 1):
            try:
                found += self._connection.extract_statements(text)
            except duckdb.Error as error:
                raise explained(error, f"The SQL cannot be read (statement {number})") from None
        return found

    def _execute(self, statement: duckdb.Statement, number: int, total: int) -> None:
        if self._context.cancelled:
            raise ActionStopped
        try:
            self._connection.execute(statement, self._parameters(statement))
            kinds = statement.expected_result_type
            if duckdb.ExpectedResultType.CHANGED_ROWS in kinds:
                row = self._connection.fetchone() if self._connection.description else None
                if row and isinstance(row[0], int):
                    self._result["rowsChanged"] += row[0]
            elif duckdb.ExpectedResultType.QUERY_RESULT in kinds:
                self._result |= self._fetch(self._request["max_rows"])
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise explained(error, f"Statement {number} of {total} failed") from None

    def _parameters(self, statement: duckdb.Statement) -> dict[str, Any]:
        """Those that this statement names: DuckDB refuses more."""
        given = self._request["parameters"]
        missing = sorted(statement.named_parameters - given.keys())
        if missing:
            raise ActionFailed("invalid_definition", f"The SQL names ${missing[0]}, which parameters has not.")
        return {name: given[name] for name in statement.named_parameters}

    def _fetch(self, limit: int) -> dict[str, Any]:
        columns = [column[0] for column in self._connection.description or ()]
        kept: list[Any] = []
        count = 0
        while rows := self._connection.fetchmany(BATCH):
            count += len(rows)
            kept += rows[: limit - len(kept)]
        return {
            "columns": columns,
            "rows": [dict(zip(columns, map(plain, row), strict=False)) for row in kept],
            "rowCount": count,
            "rowsTruncated": count > len(kept),
        }

    def _check(self) -> None:
        expectations = self._request["expectations"]
        if not expectations:
            return
        checks = []
        for number, expectation in enumerate(expectations):
            self._context.progress(phase="checking", done=number, total=len(expectations))
            checks.append(self._expect(expectation))
        failed = [check for check in checks if not check["passed"]]
        if failed:
            names = ", ".join(check["name"] for check in failed)
            sentence = f"{len(failed)} of {len(checks)} checks failed: {names}."
            raise ActionFailed("check_failed", sentence, details={"failed": failed, "checks": len(checks)})
        self._result["checks"] = checks

    def _expect(self, expectation: dict[str, str]) -> dict[str, Any]:
        name = expectation["name"]
        try:
            for statement in self._connection.extract_statements(expectation["sql"]):
                self._connection.execute(statement, self._parameters(statement))
            found = self._fetch(SHOWN_ROWS)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise explained(error, f"The check {name!r} failed") from None
        first = list(found["rows"][0].values()) if found["rows"] else []
        if found["rowCount"] == 1 and len(first) == 1 and (first[0] is None or isinstance(first[0], bool)):
            return {"name": name, "passed": first[0] is True, **({} if first[0] else {"value": first[0]})}
        if not found["rowCount"]:
            return {"name": name, "passed": True}
        return {"name": name, "passed": False, "rowCount": found["rowCount"], "rows": found["rows"]}
