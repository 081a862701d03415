"""Writing to the log of an organization, in the transaction of what is told there."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from uuid_utils import uuid7

from vai.ports.current import current_actor
from vai.storage.base import StoreBase
from vai.storage.event_tables import tenant_events
from vai.storage.rows import to_json
from vai.storage.statements import param

EVENT_ROW = tuple(column.name for column in tenant_events.columns)


class TenantLog(StoreBase):
    """What parts of the store that tell of their changes build on."""

    def _build(self) -> None:
        super()._build()
        self._log = self._db.compile(insert(tenant_events).values({name: param(name) for name in EVENT_ROW}))

    def _entry(self, event_type: str, tenant_id: str, resource: tuple[str, str], **payload: Any) -> Mapping[str, Any]:
        """The parameters of `_log` for something that whoever is at work now (`current_actor`) does to `resource`, its
        type and id. Call it outside of the transaction, where the actor is known."""
        actor_type, actor_id = current_actor.get()
        return {
            "id": str(uuid7()),
            "tenant_id": tenant_id,
            "event_type": event_type,
            "resource_type": resource[0],
            "resource_id": resource[1],
            "actor_type": actor_type,
            "actor_id": actor_id,
            "correlation_id": resource[1],
            "causation_id": None,
            "occurred_at": self._clock(),
            "payload": to_json(payload),
            "idempotency_key": None,
            "is_pending": 1,
        }
