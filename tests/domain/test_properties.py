"""What holds for every graph and every sequence of commands."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.domain.graphs import graphs
from tests.domain.world import BROKEN, FLAKY, World, without_count
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.graph import Graph
from vai.domain.questions import Question
from vai.domain.refusals import AlreadyResolved, Refusal
from vai.domain.retry import PlannedAction, plan_retry
from vai.domain.state import Result, RunState, StepState
from vai.domain.status import OnExpire, OnTimeout, RetryMode, RunStatus, SkipReason, StepStatus

ENOUGH = 400  # commands: more than any run of so few steps takes to its end


class AnyRun(RuleBasedStateMachine):
    """A run under random commands: of people, of its engine, and of engines that come too late."""

    @initialize(graph=graphs())
    def accept(self, graph: Graph) -> None:
        self.world = World(graph)
        self.rerun = set(graph.steps)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # What drives a run comes far more often than what ends it: else no run would get anywhere.
        state = self.world.state
        if state.status.is_final:
            kinds = [self.retry] * 4 + self.kinds()
        elif state.status is RunStatus.PENDING:
            kinds = [self.start] * 8 + self.kinds()
        elif any(step.decision_id or step.awaits_others for step in state.steps.values()):
            kinds = [self.advance] * 5 + [self.decide, self.finish_child, self.receive_event] * 4 + self.kinds()
        else:
            kinds = [self.advance] * 18 + self.kinds()
        data.draw(st.sampled_from(kinds))(data)

    def kinds(self) -> list[Callable[[st.DataObject], None]]:
        return [
            *(self.start, self.advance, self.turn_the_clock, self.wait_until_due, self.hand_back),
            *(self.take_over, self.take_over, self.take_over),
            *(self.cancel, self.cancel_and_stop, self.retry, self.decide, self.finish_child),
            self.receive_event,
        ]

    def teardown(self) -> None:
        """However it got there: a run that is driven ends."""
        if not hasattr(self, "world"):
            return
        for number in range(ENOUGH):
            if self.world.state.status.is_final:
                break
            self.drive(number)
        assert self.world.state.status.is_final, f"the run does not end: {self.world.statuses()}"
        assert self.world.replayed() == self.world.state

    def do(self, command: c.Command) -> tuple[e.Event, ...]:
        events = self.world.do(command)
        for event in events:
            if isinstance(event, e.RunRetried):
                self.rerun = set(event.rerun)
            elif isinstance(event, e.StepExpanded):
                elements = self.world.state.graph.elements[event.key]
                if self.rerun.isdisjoint(elements):
                    self.rerun.update(elements)
            if isinstance(event, e.StepEvent):
                assert event.key in self.rerun, "a step moved that this attempt was to reuse"
        return events

    # --- engines -------------------------------------------------------------------------------------------

    def start(self, _: st.DataObject) -> None:
        self.do(c.Start())

    def take_over(self, _: st.DataObject) -> None:
        self.do(c.TakeOver())

    def hand_back(self, _: st.DataObject) -> None:
        self.do(c.HandBack())
        assert not self.world.state.executing

    def advance(self, data: st.DataObject) -> None:
        may_start = data.draw(st.sampled_from([True, True, True, True, False]))
        self.do(c.Advance(tuple(data.draw(st.lists(self.reports(), max_size=4))), may_start))

    def turn_the_clock(self, data: st.DataObject) -> None:
        # Backwards, too: the next engine's clock may be behind.
        self.world.now += data.draw(st.sampled_from([1, 500, 5_000, 20_000, -300]))

    def wait_until_due(self, _: st.DataObject) -> None:
        self.world.now = max(self.world.now, self.world.state.due_at() or 0)
        self.do(c.Advance())
        due = self.world.state.due_at()
        assert due is None or due > self.world.now, "looking at a run in time leaves nothing due"

    def reports(self) -> st.SearchStrategy[c.Report]:
        """Reports of executions: mostly of one at work, at times of one that is over or never was."""
        keys = self.world.executing() * 4 + list(self.world.state.steps) + ["nobody"]
        return st.sampled_from(keys).flatmap(self.reports_of)

    def reports_of(self, key: str) -> st.SearchStrategy[c.Report]:
        found = self.world.state.steps.get(key)
        tries, attempt = found.tries if found else 1, self.world.state.attempt
        now = self.world.now
        of: dict[str, Any] = {
            "key": st.just(key),
            "try_number": st.sampled_from([tries] * 6 + [tries - 1, tries + 1]),
            "attempt": st.sampled_from([None, attempt, attempt, attempt, attempt - 1]),
        }
        below = sorted(self.world.state.graph.downstream([key])) if found else []
        skips = st.lists(st.sampled_from([*below * 3, "s0", "nobody"]), max_size=3).map(tuple)
        return st.one_of(
            st.builds(c.Completed, **of, result=st.just(Result({"rows": 1}))),
            *[st.builds(c.Completed, **of, skips=skips)] * 4,
            st.builds(c.Failed, **of, error=st.sampled_from([BROKEN, FLAKY])),
            st.builds(c.Failed, **of, error=st.just(FLAKY), retry_after_seconds=st.just(2.0)),
            st.builds(c.Stopped, **of),
            st.builds(c.Interrupted, **of, reason=st.sampled_from(["engine_lost", "engine_stopped"])),
            st.builds(c.Waits, **of, until=st.sampled_from([0, now - 5, now, now + 4_000, now + 9_000])),
            st.builds(c.AwaitsChild, **of, child_run_id=st.just("child")),
            st.builds(c.AwaitsEvent, **of, event_type=st.just("paid")),
            st.builds(
                c.AwaitsEvent,
                **of,
                event_type=st.just("paid"),
                since=st.just(now),
                until=st.sampled_from([now - 5, now + 4_000]),
                on_timeout=st.sampled_from(OnTimeout),
            ),
            st.builds(c.AwaitsDecision, **of, decision_id=st.just("decision")),
            st.builds(c.AwaitsDecision, **of, decision_id=st.just("decision"), question=questions(now)),
        )

    # --- people, and other runs ----------------------------------------------------------------------------

    def cancel(self, _: st.DataObject) -> None:
        before = self.world.state
        events = self.do(c.Cancel("someone"))
        after = self.world.state
        if before.status.is_final or before.cancel_requested_at is not None:
            assert events == ()
        else:
            assert after.cancel_requested_at == self.world.now
            assert after.timed == after.awaiting == after.free == 0
            assert after.status.is_final == (after.executing == 0)

    def cancel_and_stop(self, data: st.DataObject) -> None:
        was_final = self.world.state.status.is_final
        self.cancel(data)
        self.do(c.Advance(tuple(c.Stopped(k, self.world.step(k).tries) for k in self.world.executing())))
        assert was_final or self.world.state.status is RunStatus.CANCELLED

    def retry(self, data: st.DataObject) -> None:
        before, mode = self.world.state, data.draw(st.sampled_from(RetryMode))
        usual = [*before.steps] * 3 if mode is RetryMode.FROM_STEP else [None] * 6
        key = data.draw(st.sampled_from([*usual, None, "nobody"]))
        try:
            plan = plan_retry(before, mode, key)
        except Refusal as refusal:
            check_refusal(self.world, c.Retry(mode, key), refusal)
            return
        (event,) = self.do(c.Retry(mode, key))
        after = self.world.state
        assert (after.attempt, after.status) == (before.attempt + 1, RunStatus.PENDING)
        assert [planned.key for planned in plan] == list(before.graph.steps)
        for planned in plan:
            if planned.key in after.steps:
                check_planned(planned.action, before.steps[planned.key], after.steps[planned.key], after.attempt)
            else:
                assert planned.action is PlannedAction.RERUN, "only what runs again is found anew"
        rerun = {planned.key for planned in plan if planned.action is PlannedAction.RERUN}
        assert isinstance(event, e.RunRetried)
        assert set(event.rerun) == rerun & set(after.steps)
        check_extent(before, mode, key, rerun)

    def decide(self, data: st.DataObject) -> None:
        state = self.world.state
        asked = [(key, step.decision_id) for key, step in state.steps.items() if step.decision_id is not None]
        key, decision_id = data.draw(st.sampled_from([*asked * 3, ("nobody", "decision"), ("s0", "other")]))
        command = c.Decide(key, decision_id, data.draw(st.booleans()), "someone", "Someone", "because", {"a": 1})
        found = state.steps.get(key)
        if found and found.status is StepStatus.AWAITING_APPROVAL and found.decision_id == decision_id:
            self.do(command)
            assert self.world.step(key).status is not StepStatus.AWAITING_APPROVAL
        else:
            check_refusal(self.world, command, AlreadyResolved())

    def finish_child(self, data: st.DataObject) -> None:
        waiting = [key for key, step in self.world.state.steps.items() if step.child_run_id]
        key = data.draw(st.sampled_from([*waiting * 3, "nobody"]))
        child = data.draw(st.sampled_from(["child", "child", "other"]))
        self.do(c.FinishChild(key, child, Result(1), data.draw(st.sampled_from([None, BROKEN]))))

    def receive_event(self, data: st.DataObject) -> None:
        state = self.world.state
        waits = [(key, step.awaits) for key, step in state.steps.items() if step.awaits is not None]
        key, wait = data.draw(st.sampled_from([*waits * 3, ("nobody", None)]))
        attempt = data.draw(st.sampled_from([state.attempt, state.attempt, state.attempt - 1]))
        since = data.draw(st.sampled_from([wait.since, wait.since, wait.since - 1])) if wait else 0
        events = self.do(c.ReceiveEvent(key, attempt, since, "event", Result({"event": {"id": "event"}})))
        is_its = wait is not None and (attempt, since) == (state.attempt, wait.since)
        assert bool(events) == is_its
        if is_its:
            assert self.world.step(key).status is StepStatus.COMPLETED

    # --- the end -------------------------------------------------------------------------------------------

    def drive(self, number: int) -> None:
        """Whatever moves the run, as an engine and people would."""
        world, steps = self.world, self.world.state.steps
        if world.state.status is RunStatus.PENDING:
            self.do(c.Start())
        elif at_work := world.executing():
            error = [FLAKY, BROKEN, None][number % 3]
            of = [(key, steps[key].tries) for key in at_work]
            self.do(c.Advance(tuple(c.Failed(*who, error) if error else c.Completed(*who) for who in of)))
        elif asked := world.where(StepStatus.AWAITING_APPROVAL):
            key = min(asked)
            self.do(c.Decide(key, steps[key].decision_id or "", number % 2 == 0))
        elif children := [key for key in world.where(StepStatus.RUNNING) if steps[key].child_run_id]:
            self.do(c.FinishChild(min(children), "child"))
        elif waits := [(key, step.awaits) for key, step in steps.items() if step.awaits and step.wake_at is None]:
            key, wait = min(waits, key=lambda pair: pair[0])
            self.do(c.ReceiveEvent(key, steps[key].attempt, wait.since, "event", Result({})))
        else:
            due = world.state.due_at()
            assert due is not None, f"nothing moves this run any more: {world.statuses()}"
            world.now = max(world.now, due)
            self.do(c.Advance())


def questions(now: int) -> st.SearchStrategy[Question]:
    """Questions that expire."""
    expires_at = st.sampled_from([0, now, now + 4_000, now + 9_000])
    return st.builds(Question, expires_at=expires_at, on_expire=st.sampled_from(OnExpire))


def check_refusal(world: World, command: c.Command, expected: Refusal) -> None:
    """The command is refused for this reason, and everything stays as it was."""
    before, history = world.state, list(world.history)
    with pytest.raises(type(expected)) as raised:
        world.do(command)
    assert raised.value.message == expected.message
    assert world.state is before
    assert world.history == history


def check_planned(action: PlannedAction, old: StepState, new: StepState, attempt: int) -> None:
    """The retry did to a step what the plan had said."""
    if action is PlannedAction.RERUN:
        assert without_count(new) == StepState(old.key, attempt=attempt), "nothing of the last attempt shines through"
    else:
        assert without_count(new) == without_count(old)
        assert old.status is (StepStatus.COMPLETED if action is PlannedAction.REUSE else StepStatus.SKIPPED)


def check_extent(state: RunState, mode: RetryMode, named: str | None, rerun: set[str]) -> None:
    """A retry runs again neither too much nor too little."""
    graph = state.graph
    for key, old in state.steps.items():
        parent = graph.steps[key].parent
        found_anew = parent is not None and (parent == named or not rerun.isdisjoint(graph.steps[parent].depends_on))
        fed_anew = found_anew or not rerun.isdisjoint((*graph.steps[key].depends_on, *graph.elements.get(key, ())))
        if mode is RetryMode.FULL:
            assert key in rerun
        elif old.skip_reason is SkipReason.BRANCH_NOT_TAKEN:
            assert (key in rerun) == (old.skipped_by in rerun or key == named), "a choice stands with its branch"
        elif old.status is StepStatus.COMPLETED or old.skip_reason not in (None, SkipReason.UPSTREAM_FAILED):
            assert (key in rerun) == (fed_anew or key == named), "an answer stands with what it rests on"
        else:
            assert key in rerun, "what did not complete runs again"


AnyRun.TestCase.settings = settings(
    max_examples=80, stateful_step_count=35, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyRun = AnyRun.TestCase
