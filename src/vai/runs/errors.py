"""Why the doors refuse a request, beside the refusals of the state machine.

RunsError
├── NotFound              it does not exist, or belongs to another organization: no difference is told
├── NotStartable          the automation has nothing that may run
├── InvalidInput          the run's input does not fit the automation's `inputs`
│   └── InvalidFields     the fields of an answer do not fit what is to be filled in
├── KeyBusy               others of its concurrency key are under way, and it is not to wait
├── MayNotDecide          the decision is for others
├── AlreadyDecided        the decision is taken, expired or withdrawn
└── IdempotencyMismatch   the Idempotency-Key was used for another request
"""

from collections.abc import Sequence

from vai.domain.status import DecisionStatus
from vai.ports import DecisionRecord, Fault


class RunsError(Exception):
    """A request that cannot be served as it is; the message is for people."""


class NotFound(RunsError):
    """There is no such thing in this organization."""


class NotStartable(RunsError):
    """The automation has no version that may run."""


class IdempotencyMismatch(RunsError):
    """The Idempotency-Key was used before for a different request."""


class KeyBusy(RunsError):
    """Runs of its concurrency key are under way, and its automation says `skip`. `run_id`: one of them."""

    def __init__(self, key: str | None, run_id: str | None) -> None:
        super().__init__(f"A run of the concurrency key {key!r} is under way, and this automation skips others then.")
        self.run_id = run_id


class InvalidInput(RunsError):
    """The run's input does not fit the automation's `inputs`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.msg for fault in faults))
        self.faults = tuple(faults)


class InvalidFields(InvalidInput):
    """The fields of an answer do not fit what is to be filled in."""


class MayNotDecide(RunsError):
    """The decision is somebody else's to take."""


_WORDS = {
    DecisionStatus.PENDING: "changed just now",
    DecisionStatus.APPROVED: "approved",
    DecisionStatus.REJECTED: "rejected",
    DecisionStatus.EXPIRED: "not taken in time",
    DecisionStatus.WITHDRAWN: "withdrawn",
}


class AlreadyDecided(RunsError):
    """Somebody was faster, or nobody was in time, or there is nothing to decide any more."""

    def __init__(self, decision: DecisionRecord) -> None:
        by = f" by {decision.decided_by_name or decision.decided_by}" if decision.decided_by else ""
        super().__init__(f"There is nothing to decide any more: the decision was {_WORDS[decision.status]}{by}.")
        self.decision = decision
