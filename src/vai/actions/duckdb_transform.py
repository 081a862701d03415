"""`duckdb_transform`: SQL on a DuckDB database, in a child process. The doing is in `duckdb_child`."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from vai.actions.checking import Definition
from vai.actions.file_locks import FileLocks
from vai.actions.kind import Kind
from vai.actions.process import Processes, Work
from vai.actions.secrets import revealed
from vai.ports import ActionContext

MEMORY = ":memory:"
NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
Value = str | int | float | bool | None


class Attached(Definition):
    """Another database file, to be named in the SQL."""

    database: str = Field(min_length=1)
    alias: str = Field(pattern=NAME)
    read_only: bool = True


class Expectation(Definition):
    """A check: SQL that yields true, or the rows that are wrong (so: none)."""

    name: str = Field(min_length=1)
    sql: str = Field(min_length=1)


class TransformDefinition(Definition):
    """SQL statements, in order."""

    database: str = Field(min_length=1, description="Path (from the server's working directory) or :memory:")
    sql: str | None = Field(None, description="One or several statements")
    statements: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    parameters: dict[str, Value | list[Value]] = Field(default_factory=dict, description="Values for $name in the SQL")
    expectations: list[Expectation] = Field(
        default_factory=list, description="Checks after the statements; one that fails undoes them"
    )
    attach: list[Attached] = Field(default_factory=list)
    read_only: bool = Field(False, description="Open for reading, beside other readers")
    transaction: bool = Field(True, description="All statements or none")
    max_rows: int = Field(100, ge=0, le=100_000, description="How many rows of the last SELECT the result has")
    lock_timeout_seconds: float = Field(60, ge=0, description="How long to wait for another program's lock")

    @model_validator(mode="before")
    @classmethod
    def _something_to_do(cls, given: Any) -> Any:
        if isinstance(given, dict) and not any(given.get(f) for f in ("sql", "statements", "expectations")):
            raise ValueError("give sql, statements or expectations")
        if isinstance(given, dict) and given.get("sql") and given.get("statements"):
            raise ValueError("give sql or statements, not both")
        return given


class DuckdbTransform(Kind):
    """The kind `duckdb_transform`."""

    kind = "duckdb_transform"
    title = "DuckDB transform"
    description = (
        "Runs SQL statements in order on a DuckDB database, in one transaction, then its expectations. The "
        "result holds {statements, rowsChanged, columns, rows, rowCount, rowsTruncated, checks}. Steps that "
        "write to the same file take turns."
    )
    extra: str | None = "data"
    needs = ("duckdb",)

    def __init__(self, processes: Processes, locks: FileLocks, data_dir: str) -> None:
        super().__init__(TransformDefinition)
        self._processes, self._locks, self._data_dir = processes, locks, data_dir

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Do it. ActionFailed `sql_error`, `check_failed`, `file_not_found`, `database_locked` (retryable)
        or `out_of_memory`."""
        transform: TransformDefinition = self.parse(definition)
        files = {other.database: not other.read_only for other in transform.attach}
        if transform.database != MEMORY:
            files[transform.database] = not transform.read_only or files.get(transform.database, False)
        request = {"data_dir": self._data_dir, **revealed(transform)}
        async with self._locks.held(files, context):
            return await self._processes.run(Work("vai.actions.duckdb_child:run", request), context)
