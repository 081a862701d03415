"""What a run is started with, by a person, a trigger, or a step of another run."""

from typing import Any

import msgspec


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
    keys_held: frozenset[str] = frozenset()  # concurrency keys by which it is not held back: its ancestors have them
