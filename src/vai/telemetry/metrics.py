"""What a process has counted since it began. Counting is adding to a dictionary, so that the engine does not notice;
how it is written down for Prometheus is in `exposition`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from vai.domain.status import RunStatus
from vai.ports import Standing, StoredEvent, Transaction

_RUN_STATUS_AFTER = {
    "run.created": "pending",
    "run.started": "running",
    "run.awaiting_approval": "awaiting_approval",
    "run.resumed": "running",
    "run.completed": "completed",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
    "run.retried": "pending",
}

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_JOBS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class Histogram:
    """How many values were at most each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Each bound as text with the number of values up to it; the last is +Inf."""
        rows, below = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            rows.append((bound, float(below)))
        return rows


class Levels(NamedTuple):
    """How things stand at the moment of a scrape. `standing` is None when the database does not answer."""

    runs_held: int
    steps_at_work: int
    leases_lost: int
    runs_lost: int
    listeners: int
    standing: Standing | None


class Metrics:
    """The counters of a process. Everything is called on the event loop."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.steps: Counter[tuple[str, str]] = Counter()  # (kind, status)
        self.commit_seconds = Histogram(_SECONDS)
        self.commit_jobs = Histogram(_JOBS)
        self.failed_commits = 0
        self.requests: dict[tuple[str, int], Histogram] = {}  # (operation, status of the answer)

    def on_commit(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        """Count what this process committed; of other processes' commits there are no events."""
        for event in events:
            self.events[event.type] += 1

    def on_transaction(self, transaction: Transaction) -> None:
        """Count one transaction of the store's writer."""
        if transaction.failed:
            self.failed_commits += 1
            return
        self.commit_seconds.add(transaction.seconds)
        self.commit_jobs.add(transaction.jobs)
        for step in transaction.steps:
            self.steps[step] += 1

    def on_request(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer, with the time until it began."""
        histogram = self.requests.get((operation, status))
        if histogram is None:
            histogram = self.requests[operation, status] = Histogram(_SECONDS)
        histogram.add(seconds)

    @property
    def run_transitions(self) -> dict[str, int]:
        """How often runs came into each status."""
        counts = dict.fromkeys(_RUN_STATUS_AFTER.values(), 0)
        for event_type, status in _RUN_STATUS_AFTER.items():
            counts[status] += self.events[event_type]
        return counts
