"""Decisions as the API shows them."""

from typing import Any

from vai.api.present import rfc3339
from vai.domain.state import Instant
from vai.ports import DecisionRecord, Page


def decision(record: DecisionRecord) -> dict[str, Any]:
    """A question to people, and what became of it."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "runId": record.run_id,
        "attempt": record.attempt,
        "stepKey": record.step_key,
        "kind": record.kind,
        "title": record.title,
        "message": record.message,
        "fieldsSchema": record.fields_schema,
        "assignees": record.assignees,
        "allowSelfApproval": record.allow_self_approval,
        "createdAt": rfc3339(record.created_at),
        "expiresAt": _time(record.expires_at),
        "onExpire": record.on_expire,
        **outcome(record),
    }


def outcome(record: DecisionRecord) -> dict[str, Any]:
    """What became of a question: this also tells whoever comes too late."""
    return {
        "status": record.status,
        "decidedBy": record.decided_by,
        "decidedByName": record.decided_by_name,
        "decidedAt": _time(record.decided_at),
        "reason": record.reason,
        "fields": record.fields,
    }


def decision_page(page: Page) -> dict[str, Any]:
    """A page of decisions."""
    return {"items": [decision(record) for record in page.items], "total": page.total}


def _time(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)
