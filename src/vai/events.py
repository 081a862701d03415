"""The door of an organization's events: its log, and what others tell it of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.access import Principal
from vai.domain.state import Instant
from vai.ports import Clock, EventCounts, EventFilter, EventStore, Page, TenantEvent
from vai.runs.errors import IdempotencyMismatch, NotFound

OWN_TYPES = (
    *("action", "api_key", "automation", "connection", "decision"),
    *("run", "schedule", "session", "step", "trigger", "webhook"),
)
"""What the types of the engine's own events begin with: nobody else may tell of these."""


class NewEvent(msgspec.Struct, frozen=True):
    """What somebody tells of. Without a `correlation_id` it is the first of what follows from it."""

    event_type: str
    payload: Any
    resource_type: str | None = None
    resource_id: str | None = None
    correlation_id: str | None = None


class Events:
    """Reads the log, and adds to it."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.on_event: list[Callable[[], None]] = []  # told, on the event loop, that there is one to be brought

    async def post(self, who: Principal, new: NewEvent, idempotency_key: str | None = None) -> tuple[TenantEvent, bool]:
        """Store an event for all that wait for it, and whether it is new: told again under the same key, it is not.

        Raises IdempotencyMismatch when the key was used for another event, and StoreUnavailable.
        """
        event_id = str(uuid7())
        event = TenantEvent(
            id=event_id,
            tenant_id=who.tenant_id,
            event_type=new.event_type,
            resource_type=new.resource_type,
            resource_id=new.resource_id,
            actor_type=who.source_type,
            actor_id=who.source_id,
            correlation_id=new.correlation_id or event_id,
            causation_id=None,
            occurred_at=self._clock(),
            payload=new.payload,
        )
        stored = await self._store.add_event(event, idempotency_key)
        if _said(stored) != _said(event):
            raise IdempotencyMismatch("This Idempotency-Key was used for another event; take a new one.")
        for listener in self.on_event:
            listener()
        return stored, stored.id == event_id

    async def get(self, who: Principal, event_id: str) -> TenantEvent:
        """One event. Raises NotFound."""
        event = await self._store.tenant_event(who.tenant_id, event_id)
        if event is None:
            raise NotFound(f"There is no event {event_id}.")
        return event

    async def list(self, query: EventFilter) -> Page:
        """Events of the query's tenant, newest first."""
        return await self._store.tenant_events(query)

    async def count(self, who: Principal, since: Instant | None, until: Instant | None) -> EventCounts:
        """How many there are, by type, actor and resource."""
        return await self._store.count_events(who.tenant_id, since, until)


def _said(event: TenantEvent) -> tuple[Any, ...]:
    return event.event_type, event.payload, event.resource_type, event.resource_id
