# ruff: noqa: S608 - made of constants alone
"""Triggers that hold runs back by their concurrency key: in the database, in the transaction that accepts, ends or
retries a run, so that the limit holds whatever the number of processes and wherever one dies.

A run takes its turn when it is the first of those held back (`queued_at`, `id`) and fewer of its key are under way
than its own limit says. Who is under way is counted in the runs' own rows: there is no counter that could leak.
"""

from alembic import op

_KEY = "tenant_id = new.tenant_id AND concurrency_key = new.concurrency_key AND completed_at IS NULL"
_IS_BUSY = f"""
(EXISTS (SELECT 1 FROM automation_runs WHERE {_KEY} AND is_queued = 1 AND id <> new.id)
 OR (SELECT count(*) FROM automation_runs WHERE {_KEY} AND is_queued = 0 AND id <> new.id) >= new.concurrency_limit)
"""
_ENDS = "new.concurrency_key IS NOT NULL AND old.completed_at IS NULL AND new.completed_at IS NOT NULL"
_RETRIED = "new.concurrency_key IS NOT NULL AND old.completed_at IS NOT NULL AND new.completed_at IS NULL"

# How many take their turn when one ends: more than one only where limits of different versions meet.
_MOST = 64

_SQLITE = (
    f"CREATE TRIGGER concurrency_skip BEFORE INSERT ON automation_runs"
    f" WHEN new.concurrency_key IS NOT NULL AND new.on_conflict = 'skip' BEGIN"
    f" SELECT RAISE(IGNORE) WHERE {_IS_BUSY}; END",
    f"CREATE TRIGGER concurrency_hold AFTER INSERT ON automation_runs WHEN new.concurrency_key IS NOT NULL BEGIN"
    f" UPDATE automation_runs SET is_queued = 1 WHERE id = new.id AND {_IS_BUSY}; END",
    f"CREATE TRIGGER concurrency_hold_again AFTER UPDATE OF completed_at ON automation_runs WHEN {_RETRIED} BEGIN"
    f" UPDATE automation_runs SET queued_at = new.updated_at, is_queued = {_IS_BUSY} WHERE id = new.id; END",
    f"""
    CREATE TRIGGER concurrency_admit AFTER UPDATE OF completed_at ON automation_runs WHEN {_ENDS} BEGIN
    UPDATE automation_runs SET is_queued = 0 WHERE id IN (
        SELECT id FROM (
            SELECT id, min(concurrency_limit - place) OVER (ORDER BY place) AS room FROM (
                SELECT id, concurrency_limit, row_number() OVER (ORDER BY queued_at, id) - 1 AS place FROM (
                    SELECT id, concurrency_limit, queued_at FROM automation_runs
                    WHERE {_KEY} AND is_queued = 1 ORDER BY queued_at, id LIMIT {_MOST}
                )
            )
        ) WHERE room > (SELECT count(*) FROM automation_runs WHERE {_KEY} AND is_queued = 0)
    );
    END
    """,
)

# One lock for all keys, to the end of the transaction: with one for each, two batches of runs could wait for one
# another. What waits for it sees what the other has committed, as each statement of a function does.
_LOCK = "PERFORM pg_advisory_xact_lock(1986095475);"

_POSTGRES = (
    f"""
    CREATE FUNCTION concurrency_hold() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        is_busy boolean;
    BEGIN
        {_LOCK}
        is_busy := {_IS_BUSY};
        IF TG_OP = 'UPDATE' THEN
            new.queued_at := new.updated_at;
        ELSIF is_busy AND new.on_conflict = 'skip' THEN
            RETURN NULL;
        END IF;
        new.is_queued := CASE WHEN is_busy THEN 1 ELSE 0 END;
        RETURN new;
    END $$
    """,
    "CREATE TRIGGER concurrency_hold BEFORE INSERT ON automation_runs"
    " FOR EACH ROW WHEN (new.concurrency_key IS NOT NULL) EXECUTE FUNCTION concurrency_hold()",
    "CREATE TRIGGER concurrency_hold_again BEFORE UPDATE OF completed_at ON automation_runs"
    f" FOR EACH ROW WHEN ({_RETRIED}) EXECUTE FUNCTION concurrency_hold()",
    f"""
    CREATE FUNCTION concurrency_admit() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        under_way integer;
        head record;
    BEGIN
        {_LOCK}
        SELECT count(*) INTO under_way FROM automation_runs WHERE {_KEY} AND is_queued = 0;
        LOOP
            SELECT id, concurrency_limit INTO head FROM automation_runs
            WHERE {_KEY} AND is_queued = 1 ORDER BY queued_at, id LIMIT 1;
            EXIT WHEN NOT FOUND OR under_way >= head.concurrency_limit;
            UPDATE automation_runs SET is_queued = 0 WHERE id = head.id;
            PERFORM pg_notify('vai', 'queue ' || head.id);
            under_way := under_way + 1;
        END LOOP;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER concurrency_admit AFTER UPDATE OF completed_at ON automation_runs"
    f" FOR EACH ROW WHEN ({_ENDS}) EXECUTE FUNCTION concurrency_admit()",
)


def create_concurrency() -> None:
    """Create the triggers."""
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)
