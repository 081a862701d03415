"""The secrets of triggers: encrypted where they are kept, never shown again."""

from __future__ import annotations

from typing import Any

from vai.connections import Sealing
from vai.definition import HIDDEN, SEALED, InvalidDefinition, trigger_secrets, with_secrets
from vai.ports import AutomationRecord, Fault


def shown_config(config: Any) -> Any:
    """A config, or the settings of a trigger, as people may see it: no secret of a trigger is shown again."""
    return with_secrets(config, dict.fromkeys(trigger_secrets(config), HIDDEN))


class TriggerSecrets:
    """Seals the secrets in configs under the data key of their organization, bound to their automation."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    async def sealed(self, automation: AutomationRecord, config: Any, before: Any = None) -> Any:
        """A config that somebody wrote, as it is kept. HIDDEN stands for the secret that the trigger of the same key
        has in `before`, which was kept. Raises InvalidDefinition, KeyLost, BadMasterKey."""
        known = {secret.key: secret.value for secret in trigger_secrets(before).values()}
        kept: dict[Any, Any] = {}
        for loc, (key, value) in trigger_secrets(config).items():
            if value == HIDDEN and key not in known:
                sentence = f"{HIDDEN!r} stands for the secret that there was, and there was none."
                raise InvalidDefinition([Fault(loc, sentence)])
            if isinstance(value, str) and value.startswith(SEALED):
                raise InvalidDefinition([Fault(loc, f"A secret cannot begin with {SEALED!r}.")])
            kept[loc] = await self._seal(automation, known[key] if value == HIDDEN else value)
        return with_secrets(config, kept)

    async def resealed(self, automation: AutomationRecord, config: Any) -> Any:
        """A config that was kept, perhaps by a release that did not seal. Raises KeyLost, BadMasterKey."""
        found = trigger_secrets(config).items()
        return with_secrets(config, {loc: await self._seal(automation, secret.value) for loc, secret in found})

    async def _seal(self, automation: AutomationRecord, secret: Any) -> Any:
        if not isinstance(secret, str) or secret.startswith(SEALED):
            return secret
        return SEALED + await self._sealing.seal(automation.tenant_id, automation.id, secret)


async def opened(sealing: Sealing, tenant_id: str, automation_id: str, secret: str) -> str:
    """A secret that was kept. Raises KeyLost, BadMasterKey."""
    if not secret.startswith(SEALED):
        return secret
    found: str = await sealing.open(tenant_id, automation_id, secret.removeprefix(SEALED))
    return found
