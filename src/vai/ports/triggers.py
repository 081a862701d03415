"""Triggers: what starts runs besides people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from vai.domain.state import Instant


class TriggerRecord(msgspec.Struct, frozen=True):
    """A trigger of an automation's active version. Its id, its pause and what it did last stay with its `key` when
    another version becomes active.

    `next_due_at` is when it has to be looked at: a schedule's next due time; None for what others call. `address` is
    what they call it by: the path of a webhook; None for a schedule.
    """

    id: str
    tenant_id: str
    automation_id: str
    version_id: str
    key: str
    type: str
    config: Any  # its settings as the definition has them, with everything filled in; a secret is sealed
    address: str | None
    is_paused: bool
    next_due_at: Instant | None
    last_due_at: Instant | None
    last_run_id: str | None
    last_error: str | None  # why it started no run the last time
    created_at: Instant
    updated_at: Instant


class Fired(msgspec.Struct, frozen=True):
    """What became of a due time, or of a call: the run it started, or the reason why it started none."""

    due_at: Instant
    run_id: str | None
    error: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """What somebody sends to a webhook's address. The names of headers are in small letters."""

    organization: str  # its id or slug
    path: str
    headers: Mapping[str, str]
    body: bytes


class Receipt(msgspec.Struct, frozen=True):
    """What became of a delivery."""

    outcome: Literal["accepted", "known", "ignored", "skipped"]
    run_id: str | None


class BadSignature(Exception):
    """The delivery does not prove that it comes from one who knows the secret."""


class UnreadableBody(Exception):
    """The delivery's body is of a type that is not read."""


class TriggerStore(Protocol):
    """Where triggers are kept; `save_versions` writes them."""

    async def trigger(self, tenant_id: str, trigger_id: str) -> TriggerRecord | None: ...
    async def triggers(self, tenant_id: str, automation_id: str) -> Sequence[TriggerRecord]:
        """All of an automation, in the order of their keys."""
        ...

    async def set_paused(self, trigger: TriggerRecord, is_paused: bool, next_due_at: Instant | None) -> None: ...

    async def due_triggers(self, now: Instant, limit: int) -> Sequence[TriggerRecord]:
        """Those of all organizations that are due and not paused, the longest due first."""
        ...

    async def next_trigger_due(self) -> Instant | None:
        """When the next of those is due."""
        ...

    async def webhook(self, tenant_id: str, path: str) -> TriggerRecord | None:
        """The tenant's webhook with this path, paused or not."""
        ...

    async def tell_trigger(self, trigger: TriggerRecord, fired: Fired) -> None:
        """Keep what became of a call."""
        ...

    async def advance_trigger(self, trigger: TriggerRecord, next_due_at: Instant | None, fired: Fired | None) -> bool:
        """Set the next due time, and what became of the last one. False: somebody was faster, for the trigger's
        `next_due_at` is not the given one any more; nothing was written."""
        ...
