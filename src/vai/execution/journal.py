"""Progress and log lines of a run's actions: gathered into few commits, bounded for each step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from vai.domain.events import Event, StepLog, StepLogDropped, StepProgress
from vai.execution.storable import storable_event
from vai.ports import Clock

MAX_EVENTS_PER_STEP = 2_000  # of log lines and progress together, in one attempt of the run
MAX_MESSAGE_CHARS = 8_192


class Journal:
    """What the actions of one run told since the last commit. Lives on the event loop's thread."""

    def __init__(self, clock: Clock, on_entry: Callable[[], None]) -> None:
        self._clock = clock
        self._on_entry = on_entry
        self._entries: list[Event | None] = []  # None: a progress that a newer one replaced
        self._progress_at: dict[str, int] = {}  # step → where in _entries its uncommitted progress is
        self._counts: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def log(self, key: str, level: str, message: str, fields: dict[str, Any]) -> None:
        """Note a line; beyond the step's bound only their number is kept."""
        if self._has_room(key):
            self._entries.append(StepLog(self._clock(), key, level, message[:MAX_MESSAGE_CHARS], fields))
            self._on_entry()

    def progress(self, key: str, fields: dict[str, Any]) -> None:
        """Note how far a step is: of several since the last commit only the newest is kept, in its place."""
        event = StepProgress(self._clock(), key, fields)
        at = self._progress_at.get(key)
        if at is not None:
            self._entries[at] = None
        elif not self._has_room(key):
            return
        self._progress_at[key] = len(self._entries)
        self._entries.append(event)
        self._on_entry()

    def _has_room(self, key: str) -> bool:
        count = self._counts.get(key, 0)
        if count >= MAX_EVENTS_PER_STEP:
            self._dropped[key] = self._dropped.get(key, 0) + 1
            return False
        self._counts[key] = count + 1
        return True

    def close_step(self, key: str) -> None:
        """The step's execution is over: tell how much was dropped, if anything."""
        dropped = self._dropped.pop(key, 0)
        if dropped:
            self._entries.append(StepLogDropped(self._clock(), key, dropped))

    def take(self) -> list[Event]:
        """Everything noted so far, which is then no longer here."""
        entries, self._entries = self._entries, []
        self._progress_at.clear()
        return [storable_event(entry) for entry in entries if entry is not None]


class StepLogHandler(logging.Handler):
    """Turns an action's log records into journal entries, from whatever thread they come."""

    def __init__(self, note: Callable[[str, str, dict[str, Any]], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on; a record that cannot be rendered must not fail the action."""
        try:
            self._note(record.levelname.lower(), self.format(record), {})
        except Exception:
            self.handleError(record)
