"""What a step answered, as the run keeps it: an object, and over the inline limit a preview beside an artifact."""

from __future__ import annotations

from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.domain import events as e
from vai.domain.gathering import INLINE_LIMIT_BYTES
from vai.domain.state import Result
from vai.ports import ActionFailed

_PREVIEW_CHARS = 2_048

_EMPTY = Result()
_encode = msgspec.json.Encoder().encode


def result_of(answer: Any) -> Result:
    """The result of what an action returned: an object stays, nothing is null, all else becomes `{"value": …}`.

    Raises ActionFailed when it cannot be written as JSON.
    """
    if answer is None:
        return _EMPTY
    try:
        value = msgspec.to_builtins(answer, str_keys=True)
        if not isinstance(value, dict):
            value = {"value": value}
        size = len(_encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The action's result cannot be written as JSON: {error}"
        raise ActionFailed("result_not_serialisable", message) from error
    if size <= INLINE_LIMIT_BYTES:
        return Result(value)
    return Result(value, True, str(uuid7()))


def stored_event(event: e.Event) -> e.Event:
    """The event as it is stored: a result over the limit is replaced by its preview, elements by their number."""
    if isinstance(event, e.StepExpanded):
        return msgspec.structs.replace(event, elements=msgspec.UNSET)
    result = getattr(event, "result", None)
    if isinstance(result, Result) and result.truncated:
        return msgspec.structs.replace(event, result=preview_of(result))
    return event


def preview_of(result: Result) -> Result:
    """What stands in a row in place of a result over the limit."""
    text = _encode(result.value).decode()
    return Result({"preview": text[:_PREVIEW_CHARS], "sizeBytes": len(text.encode())}, True, result.artifact_id)


def artifact_of(result: Result) -> str:
    """The whole result as JSON text."""
    return _encode(result.value).decode()
