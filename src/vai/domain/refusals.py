"""Why a command is refused. Each refusal's docstring is its default message.

Refusal
├── NotFinal            only a final run can be retried
├── NothingToRetry      from_failed on a completed run
├── UnknownStep         from_step without a step of this run
├── StepKeyNotAllowed   a stepKey with a mode that takes none
└── AlreadyResolved     a decision that somebody else has taken
"""


class Refusal(Exception):
    """The command does not fit the state of the run; nothing was changed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))

    @property
    def message(self) -> str:
        """The reason, as a sentence for people."""
        return str(self)


class NotFinal(Refusal):
    """Only a completed, failed or cancelled run can be retried. Wait for its end, or cancel it first."""


class NothingToRetry(Refusal):
    """Every step of the run completed: there is nothing to retry. Use mode from_step or full."""


class UnknownStep(Refusal):
    """The run has no step of that key."""


class StepKeyNotAllowed(Refusal):
    """stepKey goes with mode from_step only."""


class AlreadyResolved(Refusal):
    """The decision has been taken already."""
