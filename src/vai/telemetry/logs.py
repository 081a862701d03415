"""Log lines of a process: text for people, or one JSON object a line; with the run and step they are about."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from vai.ports.current import current_run, current_step

# What a server says of its own start and end is said by us already.
_QUIET = ("uvicorn", "httpx", "alembic", "temporalio")
_KEYS = re.compile(r"vai_(key|ses)_[\w-]{8,}|(?i:\b(bearer|authorization:?)\s+)[\w.~+/=-]{8,}")

Scrub = Callable[[str], str]
"""Blots secrets out of a text."""


def configure_logging(level: str, line_format: str, scrub: Scrub) -> None:
    """Write this process's log to stderr, as `text` or `json`. `scrub` is asked of every line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(scrub) if line_format == "json" else TextLines(scrub))
    logging.basicConfig(level=number, handlers=[handler])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, number))
    # That traces cannot be sent is told by us, once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def without_keys(text: str) -> str:
    """The text without keys of ours and bearer tokens."""
    return _KEYS.sub("***", text)


class TextLines(logging.Formatter):
    """A line for people; tracebacks follow below it."""

    def __init__(self, scrub: Scrub) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return without_keys(self._scrub(super().format(record)))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and runId, stepKey and error where there are any."""

    def __init__(self, scrub: Scrub) -> None:
        super().__init__()
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """The line. Scrubbed part by part: blotting out of the whole line might break it."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
        }
        run_id, step_key = current_run.get(), current_step.get()
        if run_id is not None:
            line["runId"] = run_id
        if step_key is not None:
            line["stepKey"] = step_key
        if record.exc_info:
            line["error"] = self._clean("".join(traceback.format_exception(*record.exc_info)))
        return msgspec.json.encode(line).decode()

    def _clean(self, text: str) -> str:
        return without_keys(self._scrub(text))
