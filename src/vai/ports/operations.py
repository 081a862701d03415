"""What operators are told of the store: every transaction as it lands, and how things stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from vai.domain.state import Instant


class Transaction(msgspec.Struct, frozen=True):
    """One transaction of a process's writer: the jobs it took, how long it took, and for each step that it wrote
    the kind and the status. `failed`: nothing of it was written."""

    jobs: int
    seconds: float
    steps: Sequence[tuple[str, str]] = ()
    failed: bool = False


class Transactions(Protocol):
    """What is told of transactions, after they ended. Called on the event loop; must not block."""

    def __call__(self, transaction: Transaction) -> None: ...


class EngineRecord(msgspec.Struct, frozen=True):
    """An engine's row, and how many runs it holds. `is_live`: neither known to be dead nor expired."""

    id: str
    host: str
    pid: int
    started_at: Instant
    lease_expires_at: Instant
    is_live: bool
    runs_held: int


class Standing(msgspec.Struct, frozen=True):
    """How things stand in the store at `now` (the database's clock, where it has one), over all organizations.

    `waiting` counts the runs that any engine could take and none holds, `waiting_since` is since when the one
    that has waited longest could be taken, `longest_waiting` its id. `overdue` counts the schedules that are due
    since more than a minute, `overdue_since` is since when the first of them is.
    """

    now: Instant
    runs: Mapping[str, int]  # by status
    waiting: int
    waiting_since: Instant | None
    longest_waiting: str | None
    engines: Sequence[EngineRecord]
    overdue: int = 0
    overdue_since: Instant | None = None


class OperationsStore(Protocol):
    """What operators ask of the store."""

    on_transaction: list[Transactions]

    @property
    def outage_since(self) -> Instant | None:
        """Since when the database cannot be used; None while it can."""
        ...

    @property
    def outage_reason(self) -> str:
        """Why it cannot be used, as a sentence for operators; while it can, why it could not the last time."""
        ...

    async def standing(self, orchestrators: Sequence[str] = ...) -> Standing:
        """How things stand; waiting runs are counted of these orchestrators."""
        ...
