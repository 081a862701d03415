"""A trigger that copies what concerns the organization from the events of its runs into its log: in the database, in
the transaction that stores the run's event, so that neither is ever without the other.

A copy's id is a UUIDv7 of the event's time, with the event's number after it: what a run does is in its order.
"""

from alembic import op

_NAMES = {
    "run.created": "automation.triggered",
    "run.completed": "automation.completed",
    "run.failed": "automation.failed",
    "run.cancel_requested": "automation.cancel_requested",
    "run.cancelled": "automation.cancelled",
    "run.retried": "automation.retried",
    "step.awaiting_approval": "decision.requested",
    "step.decided": "decision.",  # and its outcome
}
_TYPES = ", ".join(f"'{name}'" for name in _NAMES)
_CASES = " ".join(f"WHEN '{name}' THEN '{copied}'" for name, copied in _NAMES.items())

# What started a run by an event has the event's id at the end of its idempotency key.
_CAUSE = "CASE WHEN r.trigger_source_type = 'event' THEN substr(r.idempotency_key, -36) ELSE r.parent_run_id END"
_COPY = """
INSERT INTO tenant_events (id, tenant_id, event_type, resource_type, resource_id, actor_type, actor_id,
    correlation_id, causation_id, occurred_at, payload, is_pending)
SELECT {id}, r.tenant_id,
    CASE new.type {cases} END || CASE WHEN new.type = 'step.decided' THEN {outcome} ELSE '' END,
    CASE WHEN new.step_key IS NULL THEN 'automation_run' ELSE 'decision' END,
    CASE WHEN new.step_key IS NULL THEN r.id ELSE {decision_id} END,
    CASE WHEN new.type = 'run.created' THEN r.trigger_source_type ELSE coalesce(
        (SELECT CASE k.kind WHEN 'session' THEN 'user' ELSE 'api_key' END FROM api_keys AS k WHERE k.id = {by}),
        'system') END,
    CASE WHEN new.type = 'run.created' THEN r.trigger_source_id ELSE {by} END,
    coalesce(
        (SELECT c.correlation_id FROM tenant_events AS c WHERE c.tenant_id = r.tenant_id AND c.id = {cause}),
        (SELECT c.correlation_id FROM tenant_events AS c
         WHERE c.tenant_id = r.tenant_id AND c.resource_id = coalesce({cause}, r.id) ORDER BY c.id LIMIT 1),
        {cause}, r.id),
    {cause}, new.occurred_at, {payload}, 1
FROM automation_runs AS r WHERE r.id = new.run_id;
"""
_ABOUT = (
    "'automationId', r.automation_id, 'automationRunId', r.id, 'versionNumber', r.version_number,"
    " 'attempt', new.attempt, 'triggerType', r.trigger_type, 'stepKey', new.step_key"
)

_SQLITE_ID = (
    "printf('%08x-%04x-7%03x-%s%03x-%012x', new.occurred_at >> 16, new.occurred_at & 65535, new.seq & 4095,"
    " substr('89ab', 1 + (random() & 3), 1), random() & 4095, random() & 281474976710655)"
)
_SQLITE = (
    f"CREATE TRIGGER tenant_events_of_runs AFTER INSERT ON events WHEN new.type IN ({_TYPES}) BEGIN"
    + _COPY.format(
        id=_SQLITE_ID,
        cases=_CASES,
        outcome="json_extract(new.data, '$.outcome')",
        decision_id="json_extract(new.data, '$.decisionId')",
        by="json_extract(new.data, '$.by')",
        cause=_CAUSE,
        payload=f"json_object({_ABOUT}, 'data', json(new.data))",
    )
    + "END",
)

_POSTGRES_ID = (
    "lpad(to_hex(new.occurred_at >> 16), 8, '0') || '-' || lpad(to_hex(new.occurred_at & 65535), 4, '0') || '-7'"
    " || lpad(to_hex(new.seq & 4095), 3, '0') || '-' || substr(gen_random_uuid()::text, 20)"
)
_POSTGRES = (
    # The operators on JSON refuse a NUL, which the text of an error may hold.
    "CREATE FUNCTION tenant_events_of_runs() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE"
    r" told json := replace(new.data, '\u0000', '\ufffd'); BEGIN"
    + _COPY.format(
        id=_POSTGRES_ID,
        cases=_CASES,
        outcome="(told ->> 'outcome')",
        decision_id="(told ->> 'decisionId')",
        by="(told ->> 'by')",
        cause=_CAUSE.replace("substr(r.idempotency_key, -36)", "right(r.idempotency_key, 36)"),
        payload=f"json_build_object({_ABOUT}, 'data', told)::text",
    )
    + "RETURN NULL; END $$",
    "CREATE TRIGGER tenant_events_of_runs AFTER INSERT ON events FOR EACH ROW"
    f" WHEN (new.type IN ({_TYPES})) EXECUTE FUNCTION tenant_events_of_runs()",
)


def create_tenant_events() -> None:
    """Create the trigger."""
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)
