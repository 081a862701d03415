"""Why the doors refuse a request, beside the refusals of the state machine.

RunsError
├── NotFound              it does not exist, or belongs to another organization: no difference is told
├── NotStartable          the automation has nothing that may run
├── InvalidInput          the run's input does not fit the automation's `inputs`
├── KeyBusy               others of its concurrency key are under way, and it is not to wait
└── IdempotencyMismatch   the Idempotency-Key was used for another request
"""

from collections.abc import Sequence

from vai.ports import Fault


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
