"""Events of the organization as the API shows them."""

from typing import Any

from vai.api.present import rfc3339
from vai.ports import EventCounts, Page, TenantEvent


def tenant_event(event: TenantEvent) -> dict[str, Any]:
    """An event of the organization."""
    return {
        "id": event.id,
        "tenantId": event.tenant_id,
        "eventType": event.event_type,
        "resourceType": event.resource_type,
        "resourceId": event.resource_id,
        "actorType": event.actor_type,
        "actorId": event.actor_id,
        "correlationId": event.correlation_id,
        "causationId": event.causation_id,
        "occurredAt": rfc3339(event.occurred_at),
        "payload": event.payload,
    }


def tenant_event_page(page: Page, limit: int, offset: int) -> dict[str, Any]:
    """A page of events."""
    shown = [tenant_event(event) for event in page.items]
    has_next = offset + len(shown) < page.total and bool(shown)
    return {"events": shown, "hasNext": has_next, "limit": limit, "offset": offset, "total": page.total}


def event_counts(counts: EventCounts) -> dict[str, Any]:
    """How many events there are."""
    return {
        "byActorType": [{"key": key, "count": count} for key, count in counts.by_actor_type],
        "byEventType": [{"key": key, "count": count} for key, count in counts.by_event_type],
        "byResourceType": [{"key": key, "count": count} for key, count in counts.by_resource_type],
        "total": counts.total,
    }
