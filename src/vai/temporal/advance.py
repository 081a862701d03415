"""The deciding half of a run on Temporal: load, decide, commit, and say what is to be executed.

Asked twice the same, because an answer was lost, it answers the same: what is at work is compared with what should be.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import Transition, transition
from vai.domain.graph import ExpressionFailed
from vai.domain.state import Instant, Result, RunState, StepError, StepState
from vai.domain.status import RunStatus
from vai.ports import Clock, Conflict, Store, StoreUnavailable
from vai.runs import Door, Hold, Loaded, NotFound, change_of, resolved
from vai.temporal.messages import ADVANCE, Answer, Begin, Ref, Round, report_of

_log = logging.getLogger("vai.temporal")

_MOST_CACHED = 1_000
_MOST_STEPS_CACHED = 50_000


class Advancing:
    """The `advance` activity of one process. It remembers runs; the version guard tells when others changed them."""

    def __init__(self, store: Store, door: Door, clock: Clock) -> None:
        self._store = store
        self._door = door
        self._clock = clock
        self._known: OrderedDict[str, Loaded] = OrderedDict()

    @activity.defn(name=ADVANCE)
    async def advance(self, asked: Round) -> Answer:
        """Take in what became of executions and what is due; answer what to do next.

        Temporal asks again when the database does not answer.
        """
        try:
            return await self._advance(asked)
        except StoreUnavailable as reason:
            _log.warning("run %s waits for the database: %s", asked.run_id, reason)
            raise ApplicationError(str(reason), category=ApplicationErrorCategory.BENIGN) from reason

    async def _advance(self, asked: Round) -> Answer:
        reports = [report_of(told) for told in asked.told]
        reports, kept = await self._whole(asked.tenant_id, reports)
        loaded = self._known.pop(asked.run_id, None)
        is_fresh = loaded is None
        while True:
            if loaded is None:
                try:
                    loaded = await self._door.load(asked.run_id)
                except NotFound:
                    return Answer(over=True)
            if loaded.lease_owner is not None or loaded.state.status.is_final:
                if is_fresh:
                    return Answer(over=True)
            else:
                now = self._clock()
                decided = _decide(loaded.state, asked, reports, now)
                landed = await self._commit(loaded, decided, kept, now)
                if landed is not None and (decided.events or is_fresh):
                    self._remember(landed)
                    return _answer(landed.state, asked, now)
            # Somebody else was faster, or what we remember may be old and tells of nothing to do.
            loaded, is_fresh = None, True

    async def _commit(self, loaded: Loaded, decided: Transition, kept: frozenset[str], now: Instant) -> Loaded | None:
        if not decided.events:
            return loaded
        change = change_of(decided, (), Hold(None, loaded.version, False, kept), now)
        outcome = await self._store.commit(change)
        if isinstance(outcome, Conflict):
            return None
        return msgspec.structs.replace(loaded, state=decided.state, version=outcome.version)

    def _remember(self, loaded: Loaded) -> None:
        state = loaded.state
        if state.status.is_final:
            return
        self._known[state.id] = loaded
        total = sum(len(known.state.steps) for known in self._known.values()) if len(state.steps) > 100 else 0
        while len(self._known) > _MOST_CACHED or (total > _MOST_STEPS_CACHED and len(self._known) > 1):
            _, oldest = self._known.popitem(last=False)
            total -= len(oldest.state.steps)

    async def _whole(self, tenant_id: str, reports: Sequence[c.Report]) -> tuple[list[c.Report], frozenset[str]]:
        """The reports with their results whole, and the artifacts that hold those which did not fit."""
        whole, kept = [], set()
        for report in reports:
            result = getattr(report, "result", None)
            if isinstance(result, Result) and result.artifact_id is not None:
                found = await self._store.artifact_content(tenant_id, result.artifact_id)
                if found is not None:
                    kept.add(result.artifact_id)
                    value = msgspec.json.decode(found[1])
                    result = msgspec.structs.replace(result, value=value)
                    report = msgspec.structs.replace(report, result=result)
            whole.append(report)
        return whole, frozenset(kept)


def _decide(state: RunState, asked: Round, reports: Sequence[c.Report], now: Instant) -> Transition:
    """What follows from the round as a whole, as one transition."""
    command: c.Command
    if asked.takes_over:
        lost = [c.Interrupted(step.key, step.tries, attempt=step.attempt) for step in _missing(state, asked.running)]
        command = c.Advance(tuple(lost), may_start=False)
    elif state.status is RunStatus.PENDING:
        command = c.Start()
    else:
        command = c.Advance((*reports, *_never_begun(state, asked)))
    decided = transition(state, command, now)
    events = list(decided.events)
    while failed := _unresolvable(decided):
        decided = transition(decided.state, c.Advance(failed), now)
        events += decided.events
    return Transition(tuple(events), decided.state)


def _never_begun(state: RunState, asked: Round) -> list[c.Report]:
    """Steps of a stopping run that wait for room: nobody but us can say that they are not at work."""
    if not state.is_stopping:
        return []
    told = {(report.key, report.try_number) for report in map(report_of, asked.told)}
    missing = (step for step in _missing(state, asked.running) if (step.key, step.tries) not in told)
    return [c.Stopped(step.key, step.tries, attempt=step.attempt) for step in missing]


def _unresolvable(decided: Transition) -> tuple[c.Report, ...]:
    """Reports of steps that have just been started and whose definition cannot be evaluated."""
    failed = []
    for event in decided.events:
        if isinstance(event, e.StepStarted):
            definition = resolved(decided.state, event.key)
            if isinstance(definition, ExpressionFailed):
                error = StepError("expression_failed", str(definition), False, definition.details)
                failed.append(c.Failed(event.key, event.try_number, error))
    return tuple(failed)


def _missing(state: RunState, running: Sequence[Ref]) -> list[StepState]:
    """The steps that should be at work and are not."""
    if state.executing == 0:
        return []
    known = set(running)
    return [
        step
        for step in state.steps.values()
        if step.is_executing and Ref(step.key, step.attempt, step.tries) not in known
    ]


def _answer(state: RunState, asked: Round, now: Instant) -> Answer:
    missing = [] if state.is_stopping else _missing(state, asked.running)
    begin = [_begin(state, step) for step in missing[: asked.room]]
    due_at = state.due_at()
    return Answer(
        begin=begin,
        is_part=len(begin) < len(missing),
        stop=state.is_stopping and state.executing > 0,
        over=state.status.is_final,
        due_at=due_at,
        due_in_ms=0 if due_at is None else max(0, due_at - now),
    )


def _begin(state: RunState, step: StepState) -> Begin:
    spec = state.graph.steps[step.key]
    return Begin(
        ref=Ref(step.key, step.attempt, step.tries),
        action_run_id=step.action_run_id or "",
        kind=spec.kind,
        timeout_seconds=spec.timeout_seconds,
        grace_seconds=spec.grace_seconds,
        label=spec.runs_on,
        traceparent=state.context.traceparent,
    )
