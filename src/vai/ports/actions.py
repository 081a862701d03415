"""The protocols and values of actions: what a kind of step is, what it is told and what it answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from vai.domain.questions import Question
from vai.domain.state import Instant, StepError


class ActionFailed(Exception):
    """Raised by an action to say how it failed. Any other exception counts as `type` = its class's name."""

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        retryable: bool = False,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = StepError(error_type, message, retryable, dict(details or {}))
        self.retry_after_seconds = retry_after_seconds


class ActionStopped(Exception):
    """Raised by an action, or by its runner, when it ended because it was asked to stop."""


class Sleep(msgspec.Struct, frozen=True):
    """An action's answer: be done at `until`, with `result`, and hold nothing meanwhile."""

    until: Instant
    result: Any = None


class Ask(msgspec.Struct, frozen=True):
    """An action's answer: people decide how it ends, and it holds nothing meanwhile."""

    question: Question


class Await(msgspec.Struct, frozen=True):
    """An action's answer: be done when an event of this type occurs for which `match` holds, an expression over `event`
    and `names`. Without `since` one that occurred since the run, or its new attempt, began will do. With `until` the
    step gives up then: it fails with `timeout`, or goes on without the event if it is not `is_needed`."""

    event_type: str
    match: str | None = None
    names: Mapping[str, Any] | None = None
    since: Instant | None = None
    until: Instant | None = None
    is_needed: bool = True


class Branch(msgspec.Struct, frozen=True):
    """An action's answer: done with `result`, and the steps `skips` are not taken."""

    result: Any
    skips: tuple[str, ...] = ()


Ref = str | Mapping[str, str]
"""How a definition names a connection: its id, slug or provider, or an object that says which, `{"slug": "crm"}`."""

REF_FIELDS = ("id", "slug", "provider")


class Connection:
    """A connection as a step uses it, with its credentials in clear. It is never written or shown: not even as repr."""

    __slots__ = ("config", "credentials", "id", "provider", "slug")

    def __init__(
        self, id: str, slug: str, provider: str, config: Mapping[str, Any], credentials: Mapping[str, Any]
    ) -> None:
        self.id, self.slug, self.provider = id, slug, provider
        self.config, self.credentials = config, credentials

    def __repr__(self) -> str:
        return f"<Connection {self.slug} ({self.provider})>"


def find_connection(connections: Sequence[tuple[Ref, Connection]], ref: Ref) -> Connection:
    """That of this ref, by the words of the definition or otherwise. Raises ActionFailed `connection_missing`."""
    words = {ref} if isinstance(ref, str) else set(ref.values())
    for given, connection in connections:
        if given == ref or words & {connection.id, connection.slug}:
            return connection
    sentence = "The step's definition names no such connection; name it in a field connectionRef."
    raise ActionFailed("connection_missing", sentence, details={"connectionRef": ref})


class Call(msgspec.Struct, frozen=True):
    """An action's answer: start a run of another automation (its id, slug or name), and be done when that is."""

    automation: str
    input: Any = None
    version: int | None = None


class ActionContext(Protocol):
    """What an action may know and tell while it runs. Safe to use from any thread."""

    run_id: str
    step_key: str
    tenant_id: str
    attempt: int
    try_number: int
    idempotency_key: str
    grace_seconds: float

    def connection(self, ref: Ref) -> Connection:
        """The connection of this ref, which the step's definition has to name in a field `connectionRef` (or one whose
        name ends so). Raises ActionFailed `connection_missing`."""
        ...

    @property
    def connections(self) -> Sequence[tuple[Ref, Connection]]:
        """All that the definition names, for a child process that does the step's work."""
        ...

    def attach(
        self, source: str | Path | bytes, *, name: str | None = None, media_type: str | None = None
    ) -> dict[str, Any]:
        """Keep a copy of a file, or bytes, as an artifact of the step, and answer what a result may say of it:
        `artifactId`, `name`, `mediaType`, `sizeBytes`, `sha256`. A file that the step attached before under the same
        name gives way to it. Blocks until it is durable; not from the event loop's thread. Raises ActionFailed."""
        ...

    @property
    def traceparent(self) -> str:
        """The step's place in the run's trace (W3C Trace Context), for what it calls."""
        ...

    @property
    def logger(self) -> logging.Logger:
        """Its lines become step.log events."""
        ...

    def progress(self, **fields: Any) -> None:
        """Tell how far it is, e.g. phase="loading", done=3, total=10, rows=1200. Becomes step.progress."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once the action is asked to stop."""
        ...

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call this once when the action is asked to stop (at once if it already was). Any thread."""
        ...

    async def wait_cancelled(self) -> None:
        """Return once the action is asked to stop."""
        ...


class Action(Protocol):
    """A kind of step."""

    kind: str
    title: str
    description: str
    extra: str | None  # the extra that brings what it needs, e.g. "data" for vai-engine[data]
    available: bool  # False when what it needs is not installed

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its definition."""
        ...

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition *template*; values that hold `{{ }}` are taken to fit."""
        ...

    def run(self, definition: Any, context: ActionContext) -> Awaitable[Any]:
        """Do it, on the event loop's thread (what blocks must be moved to a thread or a child process by the
        action). Answers JSON-able data, or Sleep, Ask, Await, Call or Branch; raises ActionFailed or anything.
        When asyncio-cancelled it must end at once and leave nothing running (the grace is over)."""
        ...


class Actions(Protocol):
    """The registry of kinds."""

    def get(self, kind: str) -> Action | None: ...
    def all(self) -> Sequence[Action]: ...


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a body: the path to it, a sentence, and a class of faults."""

    loc: tuple[str | int, ...]
    msg: str
    type: str = "value_error"


Clock = Callable[[], Instant]
"""The present, in milliseconds since the epoch; tests hand in their own."""
