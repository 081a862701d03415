"""Results over the inline limit: a preview in the row and in the event, and the whole of it in an artifact."""

from __future__ import annotations

import msgspec

from vai.domain import events as e
from vai.domain.state import Result

_PREVIEW_CHARS = 2_048
_encode = msgspec.json.Encoder().encode


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
