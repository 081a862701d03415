"""Triggers that keep `run_counts`: in the database, so that no way of changing a run can miss them."""

from alembic import op

_SQLITE_ADD = """
INSERT INTO run_counts (tenant_id, status, writer, count) VALUES ({row}.tenant_id, {row}.status, 0, {step})
ON CONFLICT (tenant_id, status, writer) DO UPDATE SET count = count + {step};
"""

_SQLITE = (
    "CREATE TRIGGER run_counts_insert AFTER INSERT ON automation_runs BEGIN"
    + _SQLITE_ADD.format(row="new", step=1)
    + "END",
    "CREATE TRIGGER run_counts_update AFTER UPDATE OF status ON automation_runs"
    " WHEN old.status <> new.status BEGIN"
    + _SQLITE_ADD.format(row="old", step=-1)
    + _SQLITE_ADD.format(row="new", step=1)
    + "END",
    "CREATE TRIGGER run_counts_delete AFTER DELETE ON automation_runs BEGIN"
    + _SQLITE_ADD.format(row="old", step=-1)
    + "END",
)

# Once a statement, not once a row: a batch moves many runs. The backend's number spreads the writers.
_POSTGRES_FUNCTION = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_counts AS r (tenant_id, status, writer, count)
    SELECT tenant_id, status, pg_backend_pid() % 64, sum(n) FROM ({moved}) AS moved
    GROUP BY tenant_id, status HAVING sum(n) <> 0 ORDER BY tenant_id, status
    ON CONFLICT (tenant_id, status, writer) DO UPDATE SET count = r.count + excluded.count;
    RETURN NULL;
END $$
"""
_BEFORE = "SELECT tenant_id, status, -1 AS n FROM old_rows"
_AFTER = "SELECT tenant_id, status, 1 AS n FROM new_rows"
_POSTGRES = tuple(
    statement
    for name, when, tables, moved in (
        ("run_counts_insert", "INSERT", "NEW TABLE AS new_rows", _AFTER),
        ("run_counts_delete", "DELETE", "OLD TABLE AS old_rows", _BEFORE),
        (
            "run_counts_update",
            "UPDATE",
            "OLD TABLE AS old_rows NEW TABLE AS new_rows",
            f"{_BEFORE} UNION ALL {_AFTER}",
        ),
    )
    for statement in (
        _POSTGRES_FUNCTION.format(name=name, moved=moved),
        f"CREATE TRIGGER {name} AFTER {when} ON automation_runs REFERENCING {tables}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    )
)


def create_counts() -> None:
    """Create the triggers."""
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)
