"""Starts the runs of webhooks: one for each delivery, however often its sender sends it.

A run is started under an idempotency key made of the trigger and the delivery's id: whoever dies before the answer,
the sender's next try finds the run that there is.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from vai.access import Principal
from vai.automations import opened
from vai.connections import Sealing
from vai.definition import rule_of
from vai.domain.graph import ExpressionFailed
from vai.ports import BadSignature, Clock, Delivery, Fault, Fired, Receipt, Store, TriggerRecord
from vai.runs import (
    IdempotencyMismatch,
    InvalidInput,
    KeyBusy,
    NotFound,
    NotStartable,
    Runs,
    StartRun,
    reserved_key,
)
from vai.triggers.bodies import payload_of, shown_headers
from vai.triggers.signatures import WINDOW_MS, verify

_log = logging.getLogger("vai.triggers")


class Webhooks:
    """The webhooks of all organizations."""

    def __init__(self, store: Store, runs: Runs, sealing: Sealing, clock: Clock) -> None:
        self._store, self._runs, self._sealing, self._clock = store, runs, sealing, clock

    async def receive(self, delivery: Delivery) -> Receipt:
        """Start a run, if the delivery is to start one. It answers the run that the same delivery has started before.

        Raises NotFound (whether there is none or it is paused is not told), BadSignature, UnreadableBody,
        InvalidInput, KeyLost, BadMasterKey.
        """
        trigger = await self._trigger(delivery)
        scheme = trigger.config["signature"]
        try:
            sent_id = verify(scheme, await self._secret(trigger), delivery.headers, delivery.body, self._clock())
        except BadSignature as reason:
            _log.info("trigger %s refused a delivery: %s", trigger.id, reason)
            raise
        payload = payload_of(scheme, delivery.headers, delivery.body)
        if scheme == "stripe" and isinstance(payload, dict) and isinstance(payload.get("id"), str):
            sent_id = payload["id"]
        seen = {"key": trigger.key, "path": delivery.path, "headers": shown_headers(delivery.headers)}
        if sent_id is not None:
            seen["deliveryId"] = sent_id
        source = {"type": "webhook", "sourceType": "webhook", "sourceId": trigger.id}
        values = {"payload": payload, "trigger": {**seen, **source}}
        if not rule_of(trigger.type, trigger.config).is_met(values):
            return Receipt("ignored", None)
        request = StartRun(
            trigger.automation_id,
            idempotency_key=reserved_key("webhook", trigger.id, self._name_of(sent_id, delivery.body)),
            trigger_type="webhook",
            payload=payload,
            trigger=seen,
        )
        return await self._start(trigger, request, values)

    async def _trigger(self, delivery: Delivery) -> TriggerRecord:
        named = delivery.organization
        organization = await self._store.organization(named) or await self._store.organization_by_slug(named)
        found = None
        if organization is not None:
            found = await self._store.webhook(str(organization["id"]), delivery.path)
        if found is None or found.is_paused:
            raise NotFound("There is no webhook at this address.")
        return found

    async def _secret(self, trigger: TriggerRecord) -> str:
        kept = trigger.config["secret"]
        return "" if kept is None else await opened(self._sealing, trigger.tenant_id, trigger.automation_id, kept)

    def _name_of(self, sent_id: str | None, body: bytes) -> str:
        """What the delivery is called: by its sender's id, else by its body, which counts as the same for a while."""
        if sent_id is not None:
            return "id-" + hashlib.sha256(sent_id.encode(errors="replace")).hexdigest()
        return f"body-{hashlib.sha256(body).hexdigest()}-{self._clock() // WINDOW_MS}"

    async def _start(self, trigger: TriggerRecord, request: StartRun, values: Mapping[str, Any]) -> Receipt:
        who = Principal(trigger.tenant_id, "webhook", trigger.id, "admin")
        try:
            run_input = rule_of(trigger.type, trigger.config).input_of(values)
            created = await self._runs.start(who, msgspec.structs.replace(request, input=run_input))
        except ExpressionFailed as failure:
            reason = f"The input of the run cannot be had: {failure.details['reason']}"
            await self._tell(trigger, None, reason)
            raise InvalidInput([Fault((), reason, "expression")]) from None
        except InvalidInput as reason:
            await self._tell(trigger, None, f"The input of the run does not fit: {reason}")
            raise
        except IdempotencyMismatch:
            # Another version makes another input of it, but it is the same delivery.
            return Receipt("known", await self._known(trigger, request))
        except KeyBusy as reason:
            await self._tell(trigger, None, str(reason))
            return Receipt("skipped", None)
        except (NotFound, NotStartable):  # it was removed or archived meanwhile
            raise NotFound("There is no webhook at this address.") from None
        if created.is_new:
            await self._tell(trigger, created.run.id, None)
        return Receipt("accepted" if created.is_new else "known", created.run.id)

    async def _known(self, trigger: TriggerRecord, request: StartRun) -> str | None:
        known = await self._store.known_run(trigger.tenant_id, trigger.automation_id, str(request.idempotency_key))
        return None if known is None else known.run.id

    async def _tell(self, trigger: TriggerRecord, run_id: str | None, error: str | None) -> None:
        if error is not None:
            _log.warning("trigger %s started no run: %s", trigger.id, error)
        await self._store.tell_trigger(trigger, Fired(self._clock(), run_id, error))
