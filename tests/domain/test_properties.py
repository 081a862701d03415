"""What holds for every graph and every sequence of commands."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.domain.graphs import graphs
from tests.domain.world import BROKEN, FLAKY, World, without_count
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.graph import Graph
from vai.domain.refusals import AlreadyResolved, NotFinal, NothingToRetry, Refusal, StepKeyNotAllowed, UnknownStep
from vai.domain.retry import PlannedAction, plan_retry
from vai.domain.state import Result
from vai.domain.status import RetryMode, RunStatus, SkipReason, StepStatus

ENOUGH = 400  # commands that end every run of so few steps


class AnyRun(RuleBasedStateMachine):
    """A run under random commands, of people, of engines, and of engines that come too late."""

    world: World
    rerun: set[str]

    @initialize(graph=graphs())
    def accept(self, graph: Graph) -> None:
        self.world = World(graph)
        self.rerun = set(graph.steps)

    def do(self, command: c.Command) -> tuple[e.Event, ...]:
        events = self.world.do(command)
        for event in events:
            if isinstance(event, e.RunRetried):
                self.rerun = set(event.rerun)
            elif isinstance(event, e.StepEvent):
                assert event.key in self.rerun, "a step moved that the attempt reuses"
        return events

    # --- engines -------------------------------------------------------------------------------------------

    @rule()
    def start(self) -> None:
        self.do(c.Start())

    @rule(data=st.data(), may_start=st.sampled_from([True, True, True, False]))
    def advance(self, data: st.DataObject, may_start: bool) -> None:
        reports = data.draw(st.lists(self.reports(), max_size=4)) if self.world.state.steps else []
        self.do(c.Advance(tuple(reports), may_start))

    @rule(data=st.data())
    def complete_some(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.world.executing() or [""]), unique=True))
        reports = [c.Completed(key, self.world.step(key).tries) for key in some if key]
        self.do(c.Advance(tuple(reports)))

    @rule()
    def take_over(self) -> None:
        self.do(c.TakeOver())

    @rule()
    def hand_back(self) -> None:
        self.do(c.HandBack())

    @rule(milliseconds=st.sampled_from([0, 1, 500, 5_000, 20_000, -300]))
    def turn_the_clock(self, milliseconds: int) -> None:
        self.world.now += milliseconds

    @rule()
    def wait_until_due(self) -> None:
        self.world.now = max(self.world.now, self.world.state.due_at() or 0)
        self.do(c.Advance())
        due = self.world.state.due_at()
        assert due is None or due > self.world.now, "looking at a run in time leaves nothing due"

    def reports(self) -> st.SearchStrategy[c.Report]:
        """Reports of executions: mostly the one at work, at times one that is over or never was."""
        keys = self.world.executing() * 3 + list(self.world.state.steps) + ["nobody"]
        return st.sampled_from(keys).flatmap(self.reports_of)

    def reports_of(self, key: str) -> st.SearchStrategy[c.Report]:
        found = self.world.state.steps.get(key)
        tries = found.tries if found else 1
        attempt = self.world.state.attempt
        who: dict[str, Any] = {
            "key": st.just(key),
            "try_number": st.sampled_from([tries, tries, tries, tries - 1, tries + 1]),
            "attempt": st.sampled_from([None, attempt, attempt, attempt - 1]),
        }
        names = st.lists(st.sampled_from([*self.world.state.steps, "nobody"]), max_size=3)
        due = st.sampled_from([self.world.now - 5, self.world.now, self.world.now + 4_000, 0])
        return st.one_of(
            st.builds(c.Completed, **who, result=st.just(Result({"rows": 1})), skips=names.map(tuple)),
            st.builds(c.Completed, **who),
            st.builds(c.Failed, **who, error=st.sampled_from([BROKEN, FLAKY])),
            st.builds(c.Failed, **who, error=st.just(FLAKY), retry_after_seconds=st.just(2.0)),
            st.builds(c.Stopped, **who),
            st.builds(c.Waits, **who, until=due),
            st.builds(c.AwaitsChild, **who, child_run_id=st.just("child")),
            st.builds(c.AwaitsDecision, **who, decision_id=st.just("decision")),
        )

    # --- people, and other runs ----------------------------------------------------------------------------

    @rule()
    def cancel(self) -> None:
        before = self.world.state
        events = self.do(c.Cancel("someone"))
        after = self.world.state
        if before.status.is_final or before.cancel_requested_at is not None:
            assert events == ()
        else:
            assert after.cancel_requested_at is not None
            assert after.timed == after.awaiting == after.free == 0
            assert after.status.is_final == (after.executing == 0)

    @precondition(lambda self: self.world.state.status in (RunStatus.RUNNING, RunStatus.AWAITING_APPROVAL))
    @rule()
    def cancel_and_stop(self) -> None:
        self.do(c.Cancel())
        self.do(c.Advance(tuple(c.Stopped(key, self.world.step(key).tries) for key in self.world.executing())))
        assert self.world.state.status is RunStatus.CANCELLED

    @rule(data=st.data(), mode=st.sampled_from(RetryMode))
    def retry(self, data: st.DataObject, mode: RetryMode) -> None:
        state = self.world.state
        keys = [None, "nobody", *state.steps] if mode is RetryMode.FROM_STEP else [None, None, "nobody"]
        key = data.draw(st.sampled_from(keys))
        try:
            plan = plan_retry(state, mode, key)
        except Refusal as refusal:
            check_refusal(self.world, c.Retry(mode, key), refusal)
            return
        before = state.steps
        (event,) = self.do(c.Retry(mode, key))
        assert isinstance(event, e.RunRetried)
        after = self.world.state
        assert (after.attempt, after.status) == (state.attempt + 1, RunStatus.PENDING)
        assert [step.key for step in plan] == list(state.graph.steps)
        rerun = {step.key for step in plan if step.action is PlannedAction.RERUN}
        assert set(event.rerun) == rerun == {k for k, s in after.steps.items() if not s.status.is_final}
        for planned in plan:
            old, new = before[planned.key], after.steps[planned.key]
            check_planned(planned.action, without_count(old), without_count(new), after.attempt)
        self.check_extent(mode, key, rerun)

    def check_extent(self, mode: RetryMode, key: str | None, rerun: set[str]) -> None:
        """What runs again: neither too much nor too little."""
        previous = [event for event in self.world.history if not isinstance(event, e.RunRetried)]
        assert previous or not self.world.state.steps
        graph = self.world.state.graph
        if mode is RetryMode.FULL:
            assert rerun == set(graph.steps)
        elif mode is RetryMode.FROM_STEP:
            assert key in rerun

    @rule(data=st.data(), approved=st.booleans())
    def decide(self, data: st.DataObject, approved: bool) -> None:
        asked = [(key, s.decision_id) for key, s in self.world.state.steps.items() if s.decision_id]
        key, decision_id = data.draw(st.sampled_from([*asked, *asked, ("nobody", "decision"), ("s0", "other")]))
        found = self.world.state.steps.get(key)
        command = c.Decide(key, decision_id or "", approved, "someone", "because", {"a": 1})
        open_ = found is not None and found.status is StepStatus.AWAITING_APPROVAL
        if open_ and found is not None and found.decision_id == decision_id:
            self.do(command)
            assert self.world.step(key).status is not StepStatus.AWAITING_APPROVAL
        else:
            check_refusal(self.world, command, AlreadyResolved())

    @rule(data=st.data(), error=st.sampled_from([None, BROKEN]), child=st.sampled_from(["child", "other"]))
    def finish_child(self, data: st.DataObject, error: Any, child: str) -> None:
        waiting = [k for k, s in self.world.state.steps.items() if s.child_run_id]
        key = data.draw(st.sampled_from([*waiting, "nobody"]))
        self.do(c.FinishChild(key, child, Result(1), error))

    # --- the end -------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """However it got there: a run that is driven ends."""
        if hasattr(self, "world"):
            for number in range(ENOUGH):
                if self.world.state.status.is_final:
                    return
                self.drive(number)
            raise AssertionError(f"the run does not end: {self.world.statuses()}")

    def drive(self, number: int) -> None:
        world, state = self.world, self.world.state
        if state.status is RunStatus.PENDING:
            self.do(c.Start())
        elif world.executing():
            error = [FLAKY, BROKEN, None][number % 3]
            reports = [
                c.Failed(key, world.step(key).tries, error) if error else c.Completed(key, world.step(key).tries)
                for key in world.executing()
            ]
            self.do(c.Advance(tuple(reports)))
        elif asked := world.where(StepStatus.AWAITING_APPROVAL):
            for key in asked & world.where(StepStatus.AWAITING_APPROVAL):
                if not world.step(key).status.is_final:
                    self.do(c.Decide(key, world.step(key).decision_id or "", number % 2 == 0))
            self.do(c.Advance())
        elif children := [k for k, s in state.steps.items() if s.child_run_id and not s.status.is_final]:
            self.do(c.FinishChild(children[0], state.steps[children[0]].child_run_id or ""))
        else:
            due = state.due_at()
            assert due is not None, f"nothing moves this run any more: {world.statuses()}"
            world.now = max(world.now, due)
            self.do(c.Advance())


def check_refusal(world: World, command: c.Command, expected: Refusal) -> None:
    """The command is refused for this reason, and everything stays as it was."""
    before, history = world.state, list(world.history)
    try:
        world.do(command)
    except Refusal as refusal:
        assert type(refusal) is type(expected)
        assert refusal.message == expected.message
        assert isinstance(refusal, (AlreadyResolved, NotFinal, NothingToRetry, StepKeyNotAllowed, UnknownStep))
    else:
        raise AssertionError(f"{command} was not refused")
    assert world.state is before
    assert world.history == history


def check_planned(action: PlannedAction, old: Any, new: Any, attempt: int) -> None:
    """The retry did to a step what the plan had said."""
    if action is PlannedAction.RERUN:
        assert (new.status, new.attempt, new.tries) == (StepStatus.PENDING, attempt, 0)
        assert new.result is new.error is new.action_run_id is new.started_at is None
    else:
        assert new == old
        assert old.status is (StepStatus.COMPLETED if action is PlannedAction.REUSE else StepStatus.SKIPPED)


AnyRun.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_run = AnyRun.TestCase
