"""What the writer takes: changes ready to be written, each with the future of whoever waits for it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vai.domain.events import Event
from vai.domain.status import RunStatus
from vai.ports import NewRun, RunChange, StoredEvent
from vai.storage import rows
from vai.storage.decision_rows import decision_rows
from vai.storage.rows import Row
from vai.storage.statements import Connection


@dataclass(slots=True, eq=False)
class Job:
    """One thing to be written, accepted or refused on its own."""

    future: asyncio.Future[Any]


@dataclass(slots=True, eq=False)
class Creation(Job):
    """A run to be accepted."""

    new: NewRun
    row: Row
    events: list[Row]


@dataclass(slots=True, eq=False)
class Edit(Job):
    """A change of one run. `is_append`: events that change no state, in the order of `rows.APPEND`."""

    run_id: str
    row: Row
    events: list[Row]
    status: RunStatus | None
    is_append: bool = False
    steps: list[Row] = field(default_factory=list)
    artifacts: list[Row] = field(default_factory=list)
    progress: list[Row] = field(default_factory=list)
    opened: list[Row] = field(default_factory=list)  # decisions
    closed: list[Row] = field(default_factory=list)
    frees: tuple[str, str] | None = None  # the tenant and the concurrency key of a run that ends


@dataclass(slots=True, eq=False)
class Call(Job):
    """Any other write: a function of the connection, run in a savepoint. `touched` collects runs it freed."""

    work: Callable[[Connection], Any]
    touched: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Committed:
    """A run that a commit changed, for the listeners; with `status` pending and no events, one whose turn it is by
    its concurrency key."""

    run_id: str
    status: RunStatus | None
    events: Sequence[StoredEvent]


def creation(future: asyncio.Future[Any], new: NewRun) -> Creation:
    """The job that accepts `new`."""
    return Creation(future, new, rows.new_run_row(new), rows.event_bodies(new.events, new.record.attempt))


def change(future: asyncio.Future[Any], change: RunChange) -> Edit:
    """The job that makes `change`. Encodes here, so that a value that is not JSON fails its own caller alone."""
    edit = Edit(
        future,
        change.run_id,
        rows.change_row(change),
        rows.event_bodies(change.events, change.state.attempt),
        change.state.status,
    )
    for write in change.steps:
        edit.steps.append(rows.step_row(change, write))
        if write.artifact is not None:
            edit.artifacts.append(rows.artifact_row(change, write, write.artifact))
    edit.opened, edit.closed = decision_rows(change)
    context = change.state.context
    if context.concurrency_key is not None and change.state.status.is_final:
        edit.frees = (context.tenant_id, context.concurrency_key)
    return edit


def append(
    future: asyncio.Future[Any], run_id: str, lease_owner: str | None, attempt: int, events: Sequence[Event]
) -> Edit:
    """The job that stores events which change no state."""
    row = (len(events), run_id, lease_owner, attempt)
    bodies = rows.event_bodies(events, attempt)
    progress = rows.progress_rows(run_id, attempt, events)
    return Edit(future, run_id, row, bodies, None, is_append=True, progress=progress)


def stored_events(run_id: str, last: int, bodies: Sequence[Row]) -> list[StoredEvent]:
    """`bodies` with their numbers, of which `last` is the greatest."""
    first = last - len(bodies) + 1
    return [StoredEvent(run_id, seq, *body) for seq, body in enumerate(bodies, first)]
