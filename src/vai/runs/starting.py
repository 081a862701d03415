"""What a run is started with, by a person, a trigger, or a step of another run."""

from typing import Any

import msgspec

_KEPT = ("schedule:", "webhook:", "event:")


def reserved_key(*parts: str) -> str:
    """The idempotency key of a run that a trigger starts; its type comes first. Nobody else may give such a key."""
    return ":".join(parts)


def is_reserved(key: str) -> bool:
    """True for an idempotency key that only triggers may give."""
    return key.startswith(_KEPT)


class StartRun(msgspec.Struct, frozen=True):
    """What a run is to be started with."""

    automation_id: str
    input: Any = None
    concurrency_key: str | None = None
    version_number: int | None = None
    idempotency_key: str | None = None
    trigger_type: str = "manual"
    payload: Any = None
    traceparent: str | None = None  # the caller's place in its trace, as its header has it
    parent: tuple[str, str, int] | None = None  # the run, step and attempt that wait for it
    trigger: dict[str, Any] = {}  # what expressions see of the trigger beside its type and source
    keys_held: frozenset[str] = frozenset()  # concurrency keys by which it is not held back: its ancestors have them
