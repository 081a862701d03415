"""What a child process and its parent say to each other: one JSON value a line."""

from typing import Any

import msgspec

MAX_MESSAGE_BYTES = 256 << 20


class Request(msgspec.Struct, frozen=True):
    """What the child is to do, and the context it is done in."""

    work: str  # `package.module:function`, called with the definition and the context
    definition: Any
    run_id: str
    step_key: str
    tenant_id: str
    attempt: int
    try_number: int
    idempotency_key: str
    grace_seconds: float
    traceparent: str = ""
    connections: list[tuple[Any, dict[str, Any]]] = []  # each ref of the definition, and its connection's fields


class _Said(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower):
    """A message of the child."""


class Progress(_Said, frozen=True):
    """How far it is."""

    fields: dict[str, Any]


class Log(_Said, frozen=True):
    """A line of the log."""

    level: int
    text: str


class Attach(_Said, frozen=True):
    """A file to be kept. It is answered with a `Reply` of the same number."""

    number: int
    path: str
    name: str
    media_type: str


class Done(_Said, frozen=True):
    """The result. `form` says what it is: data, or one of the special answers of an action."""

    value: Any
    form: str = "data"  # data | sleep | branch


class Failed(_Said, frozen=True):
    """It failed, and how."""

    type: str
    message: str
    retryable: bool = False
    details: dict[str, Any] = {}
    retry_after_seconds: float | None = None


class Stopped(_Said, frozen=True):
    """It ended because it was asked to."""


class Reply(msgspec.Struct, frozen=True):
    """What the parent says to a question of the child: an answer, or how it failed."""

    number: int
    answer: Any = None
    failed: Failed | None = None


Message = Progress | Log | Attach | Done | Failed | Stopped
