"""What becomes of a forEach step when all its elements have ended."""

from collections.abc import Sequence
from typing import Any

import msgspec

from vai.domain.ids import artifact_id
from vai.domain.state import Instant, Result, StepError, StepState
from vai.domain.status import StepStatus

INLINE_LIMIT_BYTES = 64 * 1024
"""A result that is larger as JSON is kept as an artifact."""

_SHOWN = 100
_encode = msgspec.json.Encoder().encode


def gathered(elements: Sequence[StepState], name: str, at: Instant) -> Result:
    """The results of the elements in their order, null for one that has none; `name` is that of the execution."""
    items = [step.result.value if step.result else None for step in elements]
    value = {"items": items, "count": len(items)}
    return sized(value, name, at)


def sized(value: Any, name: str, at: Instant) -> Result:
    """The value as a result; a large one with the id of its artifact, which follows from `name`."""
    if len(_encode(value)) <= INLINE_LIMIT_BYTES:
        return Result(value)
    return Result(value, True, artifact_id(name, at))


def elements_error(elements: Sequence[StepState]) -> StepError | None:
    """Why the step failed, or None when no element did."""
    failed = [step for step in elements if step.status is StepStatus.FAILED]
    if not failed:
        return None
    first = failed[0]
    reason = first.error.message if first.error else "no reason was given"
    message = f"{len(failed)} of {len(elements)} elements failed; the first, {first.key}: {reason}"
    details = {"failed": [step.key for step in failed[:_SHOWN]], "failedCount": len(failed), "count": len(elements)}
    return StepError("elements_failed", message, False, details)
