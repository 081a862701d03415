"""What may be asked of decisions: read them, and decide. Every way to decide comes through here."""

from typing import Any

import msgspec

from vai.access import Principal
from vai.definition import field_faults
from vai.domain.commands import Decide
from vai.domain.decide import Transition
from vai.domain.events import StepDecided
from vai.domain.refusals import AlreadyResolved
from vai.domain.status import DecisionKind, DecisionStatus
from vai.ports import DecisionFilter, DecisionRecord, Fault, Page, Store
from vai.runs.door import Door
from vai.runs.errors import AlreadyDecided, InvalidFields, MayNotDecide, NotFound


class Answer(msgspec.Struct, frozen=True):
    """What a person says."""

    approved: bool
    reason: str | None = None
    fields: dict[str, Any] | None = None


class Decisions:
    """The decisions of all organizations; every question names the organization that asks."""

    def __init__(self, store: Store, door: Door) -> None:
        self._store = store
        self._door = door

    async def get(self, who: Principal, decision_id: str) -> DecisionRecord:
        """One decision. Raises NotFound."""
        found = await self._store.decision(who.tenant_id, decision_id)
        if found is None:
            raise NotFound(f"There is no decision {decision_id}.")
        return found

    async def list(self, query: DecisionFilter) -> Page:
        """Decisions, newest first."""
        return await self._store.decisions(query)

    async def decide(self, who: Principal, decision_id: str, answer: Answer) -> DecisionRecord:
        """Take a person's answer; the decision as it then is.

        Raises NotFound, MayNotDecide, InvalidFields, or AlreadyDecided when somebody was faster or its time is over.
        """
        asked = await self.get(who, decision_id)
        await self._check_allowed(who, asked)
        if asked.status is not DecisionStatus.PENDING:
            raise AlreadyDecided(asked)
        if faults := _faults(asked, answer):
            raise InvalidFields(faults)
        fields = answer.fields or {}
        command = Decide(asked.step_key, asked.id, answer.approved, who.source_id, who.name, answer.reason, fields)
        try:
            is_taken = _is_taken(await self._door.apply(asked.run_id, command))
        except AlreadyResolved:
            is_taken = False
        decided = await self.get(who, decision_id)
        if not is_taken:
            raise AlreadyDecided(decided)
        return decided

    async def _check_allowed(self, who: Principal, asked: DecisionRecord) -> None:
        if asked.assignees and set(asked.assignees).isdisjoint(who.names):
            raise MayNotDecide(f"This decision is for {', '.join(asked.assignees)}.")
        if asked.allow_self_approval:
            return
        run = await self._store.run(who.tenant_id, asked.run_id)
        starter = run.trigger_source_id if run else None
        if starter is None:
            return
        # A session stands for the API key it was opened with, on both sides.
        key = await self._store.api_key(who.tenant_id, starter)
        starters = {starter, key.parent_id if key else None} - {None}
        if not starters.isdisjoint((who.source_id, who.key_id)):
            raise MayNotDecide("Whoever started the run may not decide here: somebody else has to.")


def _faults(asked: DecisionRecord, answer: Answer) -> tuple[Fault, ...]:
    """Who rejects need not fill in what an approval asks for."""
    if not answer.approved and not answer.fields:
        return ()
    if answer.fields and asked.fields_schema is None and asked.kind is DecisionKind.APPROVAL:
        return (Fault((), "Nothing is to be filled in here.", "unknown_field"),)
    return field_faults(asked.fields_schema, answer.fields or {})


def _is_taken(decided: Transition) -> bool:
    return any(
        isinstance(event, StepDecided) and event.outcome is not DecisionStatus.EXPIRED for event in decided.events
    )
