"""The door of automations: what is defined, in numbered versions: one draft, one active, the rest archived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.access import Principal
from vai.automations.secrets import TriggerSecrets
from vai.automations.triggers import renewed, trigger_type
from vai.connections import Sealing
from vai.definition import Definition
from vai.ports import (
    AlreadyExists,
    AutomationRecord,
    Clock,
    RunRecord,
    Store,
    TriggerRecord,
    VersionRecord,
    VersionsSummary,
)
from vai.runs.definitions import Definitions
from vai.runs.errors import NotFound, RunsError


class NameTaken(RunsError):
    """Another automation of the organization has this name."""


class HasLiveRuns(RunsError):
    """The automation still has runs that are not final."""


class VersionConflict(RunsError):
    """The version is not in the status that this needs, or somebody else was faster."""


class AutomationView(msgspec.Struct, frozen=True):
    """An automation with what its page shows."""

    record: AutomationRecord
    versions: VersionsSummary
    latest_run: RunRecord | None


class AutomationPage(msgspec.Struct, frozen=True):
    """Some automations, and how many there are in all."""

    items: Sequence[AutomationView]
    total: int


class NewAutomation(msgspec.Struct, frozen=True):
    """What an automation is made from."""

    name: str
    config: Any
    description: str | None = None
    template_id: str | None = None
    orchestrator_type: str = "dag"
    trigger_type: str = "manual"


class AutomationPatch(msgspec.Struct, frozen=True):
    """What is to be changed; UNSET stays. A new `config` goes into the draft, made when there is none."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    config: Any | msgspec.UnsetType = msgspec.UNSET
    orchestrator_type: str | msgspec.UnsetType = msgspec.UNSET
    trigger_type: str | msgspec.UnsetType = msgspec.UNSET


class PathTaken(RunsError):
    """Another automation of the organization has a webhook with this path."""


class Automations:
    """The automations of all organizations; every question names the one that asks."""

    def __init__(self, store: Store, definitions: Definitions, sealing: Sealing, clock: Clock) -> None:
        self._store = store
        self._definitions = definitions
        self._secrets = TriggerSecrets(sealing)
        self._clock = clock

    async def validate(self, config: Any) -> Definition:
        """A dry check. Raises InvalidDefinition with every fault."""
        return await self._definitions.parse(config)

    async def create(self, who: Principal, new: NewAutomation) -> AutomationView:
        """Define an automation; its first version is a draft. Raises InvalidDefinition, NameTaken."""
        definition = await self._definitions.parse(new.config)
        await self._refuse_taken_name(who, new.name)
        now = self._clock()
        record = AutomationRecord(
            id=str(uuid7()),
            tenant_id=who.tenant_id,
            name=new.name,
            slug=_slug(new.name),
            description=new.description,
            status="draft",
            trigger_type=trigger_type(definition, new.trigger_type),
            orchestrator_type=new.orchestrator_type,
            template_id=new.template_id,
            created_at=now,
            updated_at=now,
        )
        config = await self._secrets.sealed(record, new.config)
        try:
            await self._store.create_automation(record, self._version(record, 1, config))
        except AlreadyExists:  # somebody took the name since it was looked up
            raise _name_taken(new.name) from None
        return await self.get(who, record.id)

    async def _refuse_taken_name(self, who: Principal, name: str) -> None:
        if await self._store.automation_by_name(who.tenant_id, name) is not None:
            raise _name_taken(name)

    async def get(self, who: Principal, automation_id: str) -> AutomationView:
        """One automation. Raises NotFound."""
        record = await self._record(who, automation_id)
        return (await self._views(who, [record]))[0]

    async def _record(self, who: Principal, automation_id: str) -> AutomationRecord:
        record = await self._store.automation(who.tenant_id, automation_id)
        if record is None:
            raise NotFound(f"There is no automation {automation_id}.")
        return record

    async def by_name(self, who: Principal, name: str) -> AutomationView | None:
        """The automation of that name, if there is one."""
        record = await self._store.automation_by_name(who.tenant_id, name)
        return None if record is None else (await self._views(who, [record]))[0]

    async def list(self, who: Principal, status: Sequence[str], limit: int, offset: int) -> AutomationPage:
        """Automations, newest first."""
        page = await self._store.automations(who.tenant_id, status, limit, offset)
        return AutomationPage(await self._views(who, page.items), page.total)

    async def _views(self, who: Principal, records: Sequence[AutomationRecord]) -> Sequence[AutomationView]:
        ids = [record.id for record in records]
        summaries = await self._store.version_summaries(who.tenant_id, ids)
        latest: Mapping[str, RunRecord] = await self._store.latest_runs(who.tenant_id, ids)
        return [AutomationView(r, summaries[r.id], latest.get(r.id)) for r in records if r.id in summaries]

    async def update(self, who: Principal, automation_id: str, patch: AutomationPatch) -> AutomationView:
        """Change an automation. Raises NotFound, InvalidDefinition, NameTaken, VersionConflict."""
        record = await self._record(who, automation_id)
        if patch.name is not msgspec.UNSET and patch.name != record.name:
            await self._refuse_taken_name(who, patch.name)
        changed = self._patched(record, patch)
        if patch.config is not msgspec.UNSET:
            definition = await self._definitions.parse(patch.config)
            kind = trigger_type(definition, patch.trigger_type, record.trigger_type)
            await self._save_draft(msgspec.structs.replace(changed, trigger_type=kind), patch.config)
        else:
            if patch.trigger_type is not msgspec.UNSET:
                shown = await self._definitions.parse((await self.get(who, automation_id)).versions.config)
                changed = msgspec.structs.replace(changed, trigger_type=trigger_type(shown, patch.trigger_type))
            await self._rename(changed)
        return await self.get(who, automation_id)

    async def _rename(self, record: AutomationRecord) -> None:
        try:
            await self._store.update_automation(record)
        except AlreadyExists:  # somebody took the name since it was looked up
            raise _name_taken(record.name) from None

    def _patched(self, record: AutomationRecord, patch: AutomationPatch) -> AutomationRecord:
        changes = {
            name: value
            for name in ("name", "description", "orchestrator_type")
            if (value := getattr(patch, name)) is not msgspec.UNSET
        }
        if "name" in changes:
            changes["slug"] = _slug(changes["name"])
        return msgspec.structs.replace(record, updated_at=self._clock(), **changes)

    async def _save_draft(self, record: AutomationRecord, config: Any) -> VersionRecord:
        versions = await self._store.versions(record.tenant_id, record.id)
        draft = next((v for v in versions if v.status == "draft"), None)
        source = draft or next((v for v in versions if v.status == "active"), versions[0])
        config = await self._secrets.sealed(record, config, source.config)
        if draft is None:
            number = max((v.number for v in versions), default=0) + 1
            draft = self._version(record, number, config)
        else:
            draft = msgspec.structs.replace(draft, config=config, updated_at=self._clock())
        await self._save(record, [draft])
        return draft

    async def _save(
        self,
        record: AutomationRecord,
        versions: Sequence[VersionRecord],
        triggers: Sequence[TriggerRecord] | None = None,
    ) -> None:
        if not await self._store.save_versions(record, versions, triggers):
            raise VersionConflict("Somebody else changed the versions of this automation just now; look again.")

    async def delete(self, who: Principal, automation_id: str) -> None:
        """Remove an automation with its versions and its final runs. Raises NotFound, HasLiveRuns."""
        await self._record(who, automation_id)
        if not await self._store.delete_automation(who.tenant_id, automation_id):
            raise HasLiveRuns("The automation has runs that are not final. Cancel them or wait for their end.")

    async def versions(self, who: Principal, automation_id: str) -> Sequence[VersionRecord]:
        """All versions, newest first. Raises NotFound."""
        await self._record(who, automation_id)
        found = await self._store.versions(who.tenant_id, automation_id)
        return sorted(found, key=lambda version: -version.number)

    async def version(self, who: Principal, automation_id: str, number: int) -> VersionRecord:
        """One version. Raises NotFound."""
        for version in await self.versions(who, automation_id):
            if version.number == number:
                return version
        raise NotFound(f"Automation {automation_id} has no version {number}.")

    async def create_draft(self, who: Principal, automation_id: str, config: Any) -> VersionRecord:
        """A new draft, from `config` or (UNSET) from the active, else the latest, version.

        Raises NotFound, InvalidDefinition, and VersionConflict when there is a draft already.
        """
        record = await self._record(who, automation_id)
        versions = await self.versions(who, automation_id)
        if any(version.status == "draft" for version in versions):
            raise VersionConflict("There is a draft already: update or publish that one.")
        source = next((v for v in versions if v.status == "active"), versions[0])
        await self._definitions.parse(source.config if config is msgspec.UNSET else config)
        if config is msgspec.UNSET:
            config = await self._secrets.resealed(record, source.config)
        else:
            config = await self._secrets.sealed(record, config, source.config)
        draft = self._version(record, versions[0].number + 1, config)
        await self._save(record, [draft])
        return draft

    async def publish(self, who: Principal, automation_id: str, number: int) -> VersionRecord:
        """Make a version the active one; the one before it is archived. Publishing the active one changes nothing.

        Raises NotFound, InvalidDefinition (a kind may be gone since it was written), PathTaken, VersionConflict.
        """
        record = await self._record(who, automation_id)
        chosen = await self.version(who, automation_id, number)
        if chosen.status == "active":
            return chosen
        chosen = msgspec.structs.replace(chosen, config=await self._secrets.resealed(record, chosen.config))
        definition = await self._definitions.parse(chosen.config)
        await self._refuse_taken_paths(record, definition)
        now = self._clock()
        triggers = renewed(definition, chosen, await self._store.triggers(who.tenant_id, automation_id), now)
        changed = [
            msgspec.structs.replace(v, status="archived", updated_at=now)
            for v in await self.versions(who, automation_id)
            if v.status == "active"
        ]
        published = msgspec.structs.replace(chosen, status="active", updated_at=now, published_at=now)
        kind = trigger_type(definition, msgspec.UNSET, record.trigger_type)
        active = msgspec.structs.replace(record, status="active", trigger_type=kind, updated_at=now)
        await self._save(active, [*changed, published], triggers)
        return published

    async def _refuse_taken_paths(self, record: AutomationRecord, definition: Definition) -> None:
        for trigger in definition.triggers:
            if trigger.type == "webhook" and trigger.address is not None:
                holder = await self._store.webhook(record.tenant_id, trigger.address)
                if holder is not None and holder.automation_id != record.id:
                    msg = f"The path {trigger.address!r} is that of a webhook of automation {holder.automation_id}."
                    raise PathTaken(f"{msg} Choose another.")

    async def archive(self, who: Principal, automation_id: str, number: int) -> VersionRecord:
        """Retire a version: no new run starts from it unless it is named. Raises NotFound, VersionConflict."""
        record = await self._record(who, automation_id)
        chosen = await self.version(who, automation_id, number)
        if chosen.status == "archived":
            return chosen
        now = self._clock()
        archived = msgspec.structs.replace(chosen, status="archived", updated_at=now)
        others = [v for v in await self.versions(who, automation_id) if v.number != number]
        status = next((s for s in ("active", "draft") if any(v.status == s for v in others)), "archived")
        triggers: Sequence[TriggerRecord] | None = () if chosen.status == "active" else None
        await self._save(msgspec.structs.replace(record, status=status, updated_at=now), [archived], triggers)
        return archived

    def _version(self, record: AutomationRecord, number: int, config: Any) -> VersionRecord:
        now = self._clock()
        return VersionRecord(
            id=str(uuid7()),
            tenant_id=record.tenant_id,
            automation_id=record.id,
            number=number,
            status="draft",
            config=config,
            created_at=now,
            updated_at=now,
            published_at=None,
        )


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"There is already an automation named {name!r}. Update that one, or choose another name.")


def _slug(name: str) -> str:
    words = "".join(char.lower() if char.isascii() and char.isalnum() else " " for char in name).split()
    return "-".join(words)[:80] or "automation"
