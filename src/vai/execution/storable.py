"""What actions say, made fit to be stored: nothing that one of them says may keep its run from being written."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from vai.domain.events import Event, StepLog, StepProgress
from vai.domain.state import StepError

_MAX_ERROR_CHARS = 8_192
_encode = msgspec.json.Encoder().encode


def error_of(failure: BaseException) -> StepError:
    """The error of an exception that the action did not classify."""
    # It may well pass: the step's retry policy decides.
    return StepError(type(failure).__name__, _message_of(failure)[:_MAX_ERROR_CHARS], True)


def storable_error(error: StepError) -> StepError:
    """The error, as JSON can hold it."""
    if _fits(error):
        return error
    return StepError(text_of(error.type), text_of(error.message), error.retryable, _plain(error.details))


def storable_event(event: Event) -> Event:
    """A line or a progress, as JSON can hold it."""
    if isinstance(event, StepLog) and not event.message.isascii():
        return msgspec.structs.replace(event, message=text_of(event.message))
    if isinstance(event, StepProgress) and not _fits(event.progress):
        return msgspec.structs.replace(event, progress=_plain(event.progress))
    return event


def text_of(text: str) -> str:
    """`text` without halves of surrogate pairs, which Python makes of file names that are not UTF-8."""
    return text.encode(errors="replace").decode()


def _message_of(failure: BaseException) -> str:
    try:
        return text_of(str(failure)) or type(failure).__name__
    except Exception:  # a `__str__` of theirs
        return type(failure).__name__


def _fits(value: Any) -> bool:
    try:
        _encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _plain(value: Any) -> Any:
    try:
        text = json.dumps(value, ensure_ascii=False, skipkeys=True, default=lambda other: type(other).__name__)
    except (TypeError, ValueError, RecursionError):  # it contains itself
        return {}
    return json.loads(text.encode(errors="replace"))
