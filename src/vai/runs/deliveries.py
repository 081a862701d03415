"""Events of an organization, brought to the steps that wait for them. Any process may look, as often as it likes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vai.definition import is_met, time_text
from vai.domain.commands import ReceiveEvent
from vai.domain.gathering import sized
from vai.ports import AwaitingStep, Store, TenantEvent
from vai.runs.door import Door
from vai.runs.errors import NotFound

_MANY = 500  # events or steps looked at together


class Deliveries:
    """Completes the steps whose event has occurred. An event is brought to every step that waits for it; one that was
    brought before changes nothing."""

    def __init__(self, store: Store, door: Door) -> None:
        self._store = store
        self._door = door

    async def look(self) -> None:
        """Bring all that is to be brought now. Raises StoreUnavailable."""
        while steps := await self._store.looking_back(_MANY):
            for step in steps:
                await self._look_back(step)
        while events := await self._store.pending_events(_MANY):
            for of_type in _by_type(events):
                await self._deliver(of_type)
            # Only now: whoever dies on the way leaves them to the next look.
            await self._store.settle_events([event.id for event in events])

    async def _look_back(self, step: AwaitingStep) -> None:
        """Find the first event that occurred before the step began to wait, and will do."""
        after, wait = "", step.wait
        while True:
            found = await self._store.events_since(step.tenant_id, wait.event_type, wait.since, after, _MANY)
            seen = [(event, seen_by_expressions(event)) for event in found]
            event = next((event for event, value in seen if is_met(wait, value)), None)
            if event is not None:
                await self._bring(event, step)
            if event is not None or len(found) < _MANY:
                break
            after = found[-1].id
        await self._store.looked_back(step)

    async def _deliver(self, events: Sequence[TenantEvent]) -> None:
        """Bring events of one organization and type, in their order, to each step that waits for one of them."""
        first, last = events[0], None
        while True:
            steps = await self._store.awaiting_steps(first.tenant_id, first.event_type, last, _MANY)
            for step, event in await asyncio.to_thread(_met, events, steps) if steps else ():
                await self._bring(event, step)
            if len(steps) < _MANY:
                return
            last = steps[-1]

    async def _bring(self, event: TenantEvent, step: AwaitingStep) -> None:
        name = f"{step.run_id}:{step.key}:{step.attempt}:{event.id}"
        result = sized({"event": seen_by_expressions(event), "timedOut": False}, name, event.occurred_at)
        with suppress(NotFound):
            await self._door.apply(step.run_id, ReceiveEvent(step.key, step.attempt, step.wait.since, event.id, result))


def _by_type(events: Sequence[TenantEvent]) -> Sequence[Sequence[TenantEvent]]:
    found: dict[tuple[str, str], list[TenantEvent]] = {}
    for event in events:
        found.setdefault((event.tenant_id, event.event_type), []).append(event)
    return list(found.values())


def _met(events: Sequence[TenantEvent], steps: Sequence[AwaitingStep]) -> Sequence[tuple[AwaitingStep, TenantEvent]]:
    """The steps that wait for one of these events, each with the first that will do."""
    seen = [(event, seen_by_expressions(event)) for event in events]
    found = []
    for step in steps:
        will_do = (event for event, value in seen if event.occurred_at >= step.wait.since and is_met(step.wait, value))
        event = next(will_do, None)
        if event is not None:
            found.append((step, event))
    return found


def seen_by_expressions(event: TenantEvent) -> dict[str, Any]:
    """The event as expressions and results have it."""
    return {
        "id": event.id,
        "type": event.event_type,
        "resourceType": event.resource_type,
        "resourceId": event.resource_id,
        "correlationId": event.correlation_id,
        "occurredAt": time_text(event.occurred_at),
        "payload": event.payload,
    }
