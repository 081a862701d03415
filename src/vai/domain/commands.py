"""What may be asked of a run, in the imperative. Some come from people, some from the engine that drives it."""

from typing import Any

import msgspec

from vai.domain.questions import Question
from vai.domain.state import Instant, Result, StepError
from vai.domain.status import OnTimeout, RetryMode


class _OfAttempt(msgspec.Struct, frozen=True, kw_only=True):
    attempt: int | None = None  # the run's attempt; None: whichever it is in


class Report(_OfAttempt, frozen=True):
    """What became of one execution of a step. A report of an execution that is over is ignored."""

    key: str
    try_number: int


class Completed(Report, frozen=True):
    """It did what it should; `skips` names steps that are not to run (branches not taken).

    Only steps that hang on this one can be skipped by it; other names are ignored.
    """

    result: Result = Result()
    skips: tuple[str, ...] = ()


class Failed(Report, frozen=True):
    """It failed. `retry_after_seconds`: what the other side asked to wait before the next attempt."""

    error: StepError
    retry_after_seconds: float | None = None


class Stopped(Report, frozen=True):
    """It was stopped because the run stops."""


class Interrupted(Report, frozen=True):
    """The worker that ran it is gone (`engine_lost`) or was stopped (`engine_stopped`): the step's rule decides."""

    reason: str = "engine_lost"


class Waits(Report, frozen=True):
    """It waits until a point in time and then completes with `result`."""

    until: Instant
    result: Result = Result()


class AwaitsChild(Report, frozen=True):
    """It waits for another run."""

    child_run_id: str


class AwaitsEvent(Report, frozen=True):
    """It waits for an event, until a point in time if there is one. See `EventWait`; without `since` for one that
    occurred in this attempt of the run."""

    event_type: str
    match: str | None = None
    names: dict[str, Any] | None = None
    since: Instant | None = None
    until: Instant | None = None
    on_timeout: OnTimeout = OnTimeout.FAIL


class AwaitsDecision(Report, frozen=True):
    """It waits for a person's answer to `question`."""

    decision_id: str
    question: Question = Question()


class Start(msgspec.Struct, frozen=True):
    """Begin the run, or its new attempt."""


class Advance(msgspec.Struct, frozen=True):
    """Take in what became of executions, and all that is due by now: timers, backoffs, the run's limit.

    Also starts what others have set free (a decision, a child's end): after a change by others, advance the run.
    `may_start` is False while the engine is being stopped: what is free to start stays pending.
    """

    reports: tuple[Report, ...] = ()
    may_start: bool = True


class TakeOver(msgspec.Struct, frozen=True):
    """Go on with a run whose engine is gone: what was at work is interrupted and, by its rule, run again."""


class HandBack(msgspec.Struct, frozen=True):
    """Stop driving the run; what is still at work is interrupted and becomes pending."""


class Cancel(msgspec.Struct, frozen=True):
    """End the run early."""

    by: str | None = None


class Retry(msgspec.Struct, frozen=True):
    """Take a final run up again."""

    mode: RetryMode = RetryMode.FROM_FAILED
    step_key: str | None = None
    by: str | None = None


class Decide(msgspec.Struct, frozen=True):
    """A person's answer to an open decision of a step: yes completes it with `fields`, no fails it.

    Where the question is whether an interrupted step had happened (`onInterrupt: ask`), `fields` are its result, and
    no runs it again. An answer that comes after the decision has expired is not taken: the step expires.
    """

    key: str
    decision_id: str
    approved: bool
    by: str | None = None
    by_name: str | None = None
    reason: str | None = None
    fields: dict[str, Any] = {}


class FinishChild(msgspec.Struct, frozen=True):
    """The run that a step waited for has ended."""

    key: str
    child_run_id: str
    result: Result | None = None
    error: StepError | None = None


class ReceiveEvent(msgspec.Struct, frozen=True):
    """An event that a step waits for has occurred. `since` says which wait it was found to fit; another ignores it."""

    key: str
    attempt: int
    since: Instant
    event_id: str
    result: Result


Command = Start | Advance | TakeOver | HandBack | Cancel | Retry | Decide | FinishChild | ReceiveEvent
