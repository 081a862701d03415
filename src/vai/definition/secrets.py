"""Where the secrets of triggers stand in a config, and what stands for them where they are kept or shown."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vai.definition.faults import Loc

HIDDEN = "***"
"""What stands for a trigger's secret in what is shown; given back, it means the one that there was."""
SEALED = "sealed:"
"""How a secret begins where it is kept: what follows is encrypted."""


class TriggerSecret(NamedTuple):
    """A secret as it stands in a config, and the key of its trigger."""

    key: str
    value: Any


def is_readable(secret: str) -> bool:
    """False for what only stands for a secret."""
    return secret != HIDDEN and not secret.startswith(SEALED)


def trigger_secrets(config: Any) -> dict[Loc, TriggerSecret]:
    """The secrets of a config by their places; the config may be anything."""
    if not isinstance(config, Mapping):
        return {}
    triggers = config.get("triggers")
    written: list[tuple[Loc, Any]] = [((), {"key": "webhook", "secret": config.get("secret")})]
    if isinstance(triggers, list):
        written += [(("triggers", i), trigger) for i, trigger in enumerate(triggers)]
    return {
        (*loc, "secret"): TriggerSecret(str(trigger.get("key") or trigger.get("type")), trigger["secret"])
        for loc, trigger in written
        if isinstance(trigger, Mapping) and trigger.get("secret") is not None
    }


def with_secrets(config: Any, secrets: Mapping[Loc, Any]) -> Any:
    """The config with these secrets, whose places `trigger_secrets` told."""
    changed = dict(config) if secrets else config
    for loc, secret in secrets.items():
        if loc == ("secret",):
            changed["secret"] = secret
            continue
        triggers = list(changed["triggers"])
        triggers[int(loc[1])] = {**triggers[int(loc[1])], "secret": secret}
        changed["triggers"] = triggers
    return changed
