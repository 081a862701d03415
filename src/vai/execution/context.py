"""What an action is told and may tell while it runs: the `ActionContext`."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import msgspec

from vai.domain.graph import StepSpec
from vai.domain.ids import idempotency_key, step_traceparent
from vai.domain.state import RunState
from vai.execution.journal import Journal, StepLogHandler
from vai.ports import ActionFailed, ArtifactRecord, Connection, Draft, Label, Ref, find_connection, label_of
from vai.runs import Attachments, Author, Caller, Calls


class Offers(Protocol):
    """What a step may ask for beside its own work."""

    calls: Calls | None  # who starts runs that the step waits for
    attachments: Attachments | None  # who keeps the files that it attaches


class StepContext:
    """One execution of one step, as its action sees it. Every method may be called from any thread."""

    def __init__(
        self,
        state: RunState,
        spec: StepSpec,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        offers: Offers | None = None,
    ) -> None:
        self.calls = None if offers is None else offers.calls
        self._attachments = None if offers is None else offers.attachments
        self._action_run_id = state.steps[spec.key].action_run_id or ""
        self._interrupts = state.steps[spec.key].interrupts
        self.run_id = state.id
        self.step_key = spec.key
        self.tenant_id = state.context.tenant_id
        self.automation_id = state.context.automation_id
        self.attempt = state.attempt
        self.try_number = state.steps[spec.key].tries
        self.idempotency_key = idempotency_key(state.id, spec.key, state.attempt)
        self.grace_seconds = spec.grace_seconds
        self._caller = state.context.traceparent
        self._journal = journal
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._lock = threading.Lock()
        self._stop_requested = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def connections(self) -> Sequence[tuple[Ref, Connection]]:
        """None: the definition names none."""
        return ()

    def connection(self, ref: Ref) -> Connection:
        """There is none to be had."""
        return find_connection((), ref)

    @cached_property
    def logger(self) -> logging.Logger:
        """A logger of this execution alone: its lines become the step's log events."""
        logger = logging.Logger(f"vai.step.{self.step_key}", logging.DEBUG)
        logger.addHandler(StepLogHandler(self._log))
        return logger

    @property
    def traceparent(self) -> str:
        """The step's place in the run's trace, for what it calls."""
        return step_traceparent(self.run_id, self.step_key, self.attempt, self._caller)

    @property
    def caller(self) -> Caller:
        """Who asks for a run and waits for it."""
        number = self.try_number - self._interrupts
        return Caller(self.tenant_id, self.run_id, self.step_key, self.attempt, number, self.traceparent)

    def _log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self._on_loop(self._journal.log, self.step_key, level, message, fields)

    def progress(self, **fields: Any) -> None:
        """Tell how far the action is; JSON-able values by name."""
        self._on_loop(self._journal.progress, self.step_key, msgspec.to_builtins(fields, str_keys=True))

    def attach(
        self, source: str | Path | bytes, *, name: str | None = None, media_type: str | None = None
    ) -> dict[str, Any]:
        """Keep a copy of a file, or bytes, as an artifact of the step."""
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("attach blocks: use it in a thread, as await asyncio.to_thread(context.attach, path).")
        if self._attachments is None:
            raise ActionFailed("attach_failed", "No file can be kept from here.")
        label = label_of(source, name, media_type)
        kept = self._keep(self._attachments, self._attachments.draft(source), label)
        return asyncio.run_coroutine_threadsafe(kept, self._loop).result()

    async def _keep(self, attachments: Attachments, draft: Draft, label: Label) -> dict[str, Any]:
        author = Author(self.tenant_id, self.run_id, self._action_run_id, self.try_number)
        return reference_to(await attachments.keep(draft, label, author, lambda: self._stop_requested))

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)

    @property
    def cancelled(self) -> bool:
        """True once the action is asked to stop."""
        return self._stop_requested

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call this once when the action is asked to stop; at once if it already was."""
        with self._lock:
            if not self._stop_requested:
                self._callbacks.append(callback)
                return
        callback()

    async def wait_cancelled(self) -> None:
        """Return once the action is asked to stop."""
        asked = asyncio.Event()

        def ask() -> None:
            self._loop.call_soon_threadsafe(asked.set)

        self.on_cancel(ask)
        await asked.wait()

    def request_stop(self) -> None:
        """Ask the action to stop. The engine's side; asking again does nothing."""
        with self._lock:
            # The lock closes the race with an on_cancel from another thread: it is called here or there, once.
            if self._stop_requested:
                return
            self._stop_requested = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


def reference_to(artifact: ArtifactRecord) -> dict[str, Any]:
    """What a result says of an attached file."""
    return {
        "artifactId": artifact.id,
        "name": artifact.name,
        "mediaType": artifact.media_type,
        "sizeBytes": artifact.size_bytes,
        "sha256": artifact.sha256,
    }
