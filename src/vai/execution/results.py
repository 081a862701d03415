"""What an action answered, as the run keeps it."""

from __future__ import annotations

from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.definition import schema_faults
from vai.domain.gathering import INLINE_LIMIT_BYTES
from vai.domain.questions import Question
from vai.domain.state import Result
from vai.ports import ActionFailed

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


def sound(question: Question) -> Question:
    """The question, if what people are to fill in can be checked. Raises ActionFailed."""
    faults = schema_faults(question.fields) if question.fields is not None else ()
    if faults:
        reasons = "; ".join(fault.msg for fault in faults)
        raise ActionFailed("invalid_definition", f"The fields of the approval cannot be used: {reasons}")
    return question
