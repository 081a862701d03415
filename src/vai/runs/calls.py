"""Runs that steps of other runs start and wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from vai.access import Principal
from vai.ports import ActionFailed, AutomationRecord, Call, Created, RunRecord, Store
from vai.runs.errors import InvalidInput, KeyBusy, NotFound, NotStartable
from vai.runs.starting import StartRun

MAX_DEPTH = 8
"""How many runs may stand one below the other: a circle of automations ends there."""


class Caller(msgspec.Struct, frozen=True):
    """The step that waits. `number`: which of its tries it is, not counting those that were interrupted."""

    tenant_id: str
    run_id: str
    step_key: str
    attempt: int
    number: int
    traceparent: str | None = None


class Calls:
    """Starts children. Asked again by the same caller, it answers the same child."""

    def __init__(self, store: Store, start: Callable[[Principal, StartRun], Awaitable[Created]]) -> None:
        self._store = store
        self._start = start

    async def start(self, call: Call, caller: Caller) -> str:
        """The id of the child. Raises ActionFailed, and StoreUnavailable."""
        ancestors = await self._ancestors(caller)
        if len(ancestors) >= MAX_DEPTH:
            message = f"{MAX_DEPTH} runs wait for one another already; do automations call each other in a circle?"
            raise ActionFailed("too_deep", message)
        automation = await self._automation(caller.tenant_id, call.automation)
        request = StartRun(
            automation.id,
            input=call.input,
            version_number=call.version,
            idempotency_key=f"{caller.run_id}:{caller.step_key}:{caller.attempt}:{caller.number}",
            trigger_type="event",
            traceparent=caller.traceparent,
            parent=(caller.run_id, caller.step_key, caller.attempt),
            # A child within the turn of one of those that wait for it would wait for ever.
            keys_held=frozenset(run.concurrency_key for run in ancestors if run.concurrency_key is not None),
        )
        who = Principal(caller.tenant_id, "automation", caller.run_id, "admin")
        return await self._started(request, who)

    async def _started(self, request: StartRun, who: Principal) -> str:
        try:
            return (await self._start(who, request)).run.id
        except InvalidInput as error:
            details = {"faults": [{"loc": fault.loc, "msg": fault.msg} for fault in error.faults]}
            raise ActionFailed("invalid_input", f"The input does not fit: {error}", details=details) from error
        except (NotFound, NotStartable) as error:
            raise ActionFailed("not_startable", str(error)) from error
        except KeyBusy as error:
            raise ActionFailed("key_busy", str(error), retryable=True, details={"runId": error.run_id}) from error

    async def _ancestors(self, caller: Caller) -> list[RunRecord]:
        """The run that calls, the one that waits for that, and so on."""
        found: list[RunRecord] = []
        run_id: str | None = caller.run_id
        while run_id is not None and len(found) < MAX_DEPTH:
            run = await self._store.run(caller.tenant_id, run_id)
            if run is None:
                break
            found.append(run)
            run_id = run.parent_run_id
        return found

    async def _automation(self, tenant_id: str, named: str) -> AutomationRecord:
        found = await self._store.automation(tenant_id, named) if _is_id(named) else None
        found = found or await self._store.automation_by_name(tenant_id, named)
        found = found or await self._store.automation_by_slug(tenant_id, named)
        if found is None:
            raise ActionFailed("not_startable", f"There is no automation {named!r}.")
        return found


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
