"""Events as they go over the wire: once encoded, a batch serves every listener."""

from collections.abc import Iterable
from typing import Any

import msgspec

from vai.api.present import encode, rfc3339
from vai.ports import StoredEvent
from vai.runs import Batch

COMMENT = b": still here\n\n"

# The fields of an event's data that are instants inside, and RFC 3339 outside.
_INSTANTS = {"step.retry_scheduled": "nextAttemptAt", "step.waiting": "until"}


def event(stored: StoredEvent) -> dict[str, Any]:
    """An event of a run."""
    return {
        "seq": stored.seq,
        "type": stored.type,
        "runId": stored.run_id,
        "attempt": stored.attempt,
        "stepKey": stored.step_key,
        "occurredAt": rfc3339(stored.occurred_at),
        "data": _data(stored),
    }


def _data(stored: StoredEvent) -> Any:
    if stored.type == "step.awaiting_approval":
        return _asked(stored)
    field = _INSTANTS.get(stored.type)
    if field is None:
        return msgspec.Raw(stored.data.encode())
    data = msgspec.json.decode(stored.data)
    if data.get(field) is not None:
        data[field] = rfc3339(data[field])
    return data


def _asked(stored: StoredEvent) -> Any:
    data = msgspec.json.decode(stored.data)
    question = data["question"]
    if question.get("expiresAt") is not None:
        question["expiresAt"] = rfc3339(question["expiresAt"])
    return data


def event_page(found: Iterable[StoredEvent], after: int, limit: int) -> dict[str, Any]:
    """Up to `limit` of the stored events that were found above `after`, and where to go on if there are more."""
    events = list(found)
    shown = events[:limit]
    last = shown[-1].seq if shown else after
    next_after = last if len(events) > limit else None
    return {"items": [event(stored) for stored in shown], "nextAfter": next_after}


def encoded(batch: Batch) -> bytes:
    """The batch as one chunk of an event stream."""
    if batch.encoded is None:
        batch.encoded = b"".join(_encoded(stored) for stored in batch.events)
    return batch.encoded


def _encoded(stored: StoredEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (stored.seq, stored.type.encode(), encode(event(stored)))


def end(run_id: str) -> bytes:
    """The last event of a stream: the run is over and all its events were sent. It has no number of its own."""
    return b"event: stream.end\ndata: %b\n\n" % encode({"type": "stream.end", "runId": run_id})
