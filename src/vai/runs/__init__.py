"""The door of runs: load, decide, commit. Everyone who changes a run comes through here."""

from vai.runs.attachments import Attachments, Author
from vai.runs.calls import Caller, Calls
from vai.runs.changes import Hold, change_of, resolved
from vai.runs.decisions import Answer, Decisions
from vai.runs.definitions import Definitions
from vai.runs.door import Door, Loaded
from vai.runs.errors import (
    AlreadyDecided,
    IdempotencyMismatch,
    InvalidFields,
    InvalidInput,
    KeyBusy,
    MayNotDecide,
    NotFound,
    NotStartable,
    RunsError,
)
from vai.runs.explain import Explanation, Reason
from vai.runs.previews import artifact_of, preview_of
from vai.runs.retention import Pruned, Retention
from vai.runs.service import Runs
from vai.runs.starting import StartRun, is_reserved, reserved_key
from vai.runs.stream import Batch, EventHub, SlowListener
from vai.runs.upkeep import Upkeep

__all__ = [
    "AlreadyDecided",
    "Answer",
    "Attachments",
    "Author",
    "Batch",
    "Caller",
    "Calls",
    "Decisions",
    "Definitions",
    "Door",
    "EventHub",
    "Explanation",
    "Hold",
    "IdempotencyMismatch",
    "InvalidFields",
    "InvalidInput",
    "KeyBusy",
    "Loaded",
    "MayNotDecide",
    "NotFound",
    "NotStartable",
    "Pruned",
    "Reason",
    "Retention",
    "Runs",
    "RunsError",
    "SlowListener",
    "StartRun",
    "Upkeep",
    "artifact_of",
    "change_of",
    "is_reserved",
    "preview_of",
    "reserved_key",
    "resolved",
]
