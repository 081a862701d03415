"""The fold over events, and the lines it gives."""

import io
from typing import Any

import pytest
from rich.console import Console

from vai.cli.display import RunDisplay
from vai.cli.live import RunView
from vai.cli.steps_view import draw, draw_final

NOW = 1_800_000_000.0
STEPS = [{"key": "extract", "name": "Extract flights"}, {"key": "check"}, {"key": "report"}]
ERROR = "Quality check: three rows have no tail number\x1b[31m and\nthat is not all there is to say about it"


class Recorder:
    """Gives events their numbers and times: one a second, the last one now."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seq = 0

    def __call__(self, kind: str, key: str | None = None, attempt: int = 1, **data: Any) -> dict[str, Any]:
        self._seq += 1
        at = int((NOW - self._total + self._seq) * 1000)
        common = {"seq": self._seq, "runId": "r" * 36, "attempt": attempt, "stepKey": key}
        return {**common, "type": kind, "occurredAt": at, "data": data}


def failed_run() -> list[dict[str, Any]]:
    event = Recorder(9)
    return [
        event("run.created"),
        event("run.started"),
        event("step.started", "extract", tryNumber=1),
        event("step.progress", "extract", progress={"phase": "loading", "done": 3, "total": 10, "rows": 12000}),
        event("step.completed", "extract", result={"value": {"rows": {"flights": 336776, "planes": 3322}}}),
        event("step.started", "check", tryNumber=1),
        event("step.failed", "check", error={"type": "x", "message": ERROR}),
        event("step.skipped", "report", reason="upstream_failed"),
        event("run.failed", error={"message": "Step check failed"}),
    ]


def view_of(events: list[dict[str, Any]]) -> RunView:
    view = RunView.of_steps(STEPS)
    for event in events:
        view.apply(event)
    return view


def drawn(view: RunView, width: int, *, final: bool = False, height: int | None = None) -> list[str]:
    out = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    shown = draw_final(view, out, NOW, "flights") if final else draw(view, out, NOW, "flights", height)
    with out.capture() as captured:
        out.print(shown)
    return captured.get().splitlines()


def test_a_run_at_work_at_80_columns() -> None:
    assert drawn(view_of(failed_run()[:4]), 80) == [
        "flights  ● running  6.0 s",
        "  ● Extract flights  running  6.0 s  12,000 rows  loading 3/10",
        "  ○ check            pending",
        "  ○ report           pending",
    ]


def test_a_failed_run_at_80_columns_has_its_error_in_full() -> None:
    assert drawn(view_of(failed_run()), 80, final=True) == [
        "flights  ✗ failed  6.0 s",
        "  ✓ Extract flights  completed  2.0 s  340,098 rows",
        "  ✗ check            failed     1.0 s  Quality check: three rows have no tail n…",
        "  – report           skipped           upstream failed",
        "",
        "✗ check: Quality check: three rows have no tail number�[31m and that is not all ",
        "there is to say about it",
    ]


def test_a_failed_run_at_40_columns() -> None:
    assert drawn(view_of(failed_run()), 40) == [
        "flights  ✗ failed  6.0 s",
        "  ✓ Extract flig…  2.0 s  340,098",
        "  ✗ check          1.0 s  Quality check…",
        "  – report                upstream fail…",
    ]


def test_a_long_run_shows_what_matters_and_counts_the_rest() -> None:
    event = Recorder(500)
    view = RunView()
    for number in range(100):
        view.apply(event("step.started", f"step{number}"))
        view.apply(event("step.completed", f"step{number}", result={}))
    view.apply(event("step.started", "last"))
    view.apply(event("step.failed", "step3", error={"message": "no"}))
    lines = drawn(view, 80, height=8)
    assert len(lines) == 7
    assert any("✗ step3 " in line for line in lines)
    assert any("● last " in line for line in lines)
    assert lines[-1] == "  … and 96 more: 96 completed"


def test_an_event_seen_twice_changes_nothing() -> None:
    events = failed_run()
    assert view_of([*events, *events[2:6]]) == view_of(events)


def test_a_retry_begins_its_steps_again_and_keeps_the_others() -> None:
    event = Recorder(20)
    view = view_of(failed_run())
    retried = event("run.retried", attempt=2, mode="from_failed", rerun=["check", "report"]) | {"seq": 10}
    view.apply(retried | {"data": {"attempt": 2, "rerun": ["check", "report"]}})
    assert (view.status, view.attempt, view.error) == ("pending", 2, "")
    assert [(step.status, step.rows) for step in view.steps.values()] == [
        ("completed", 340098),
        ("pending", None),
        ("pending", None),
    ]


@pytest.mark.parametrize(
    "kind, data, status, remark",
    [
        ("step.retry_scheduled", {"error": {"message": "503"}, "nextAttemptAt": int(NOW * 1000) + 20_000}, "retrying",
         "503 (in 20 s)"),
        ("step.retry_scheduled", {"error": {"message": "503"}, "nextAttemptAt": "2027-01-15T08:00:20.000Z"}, "retrying",
         "503 (in 20 s)"),
        ("step.waiting", {"until": int(NOW * 1000) + 7_200_000}, "running", "wakes in 2 h 0 min"),
        ("step.awaiting_approval", {"decisionId": "d" * 36}, "awaiting_approval", "decision dddddddd is open"),
        ("step.interrupted", {}, "retrying", "engine lost"),
        ("step.child_started", {"childRunId": "a" * 36}, "running", "run aaaaaaaa"),
    ],
)  # fmt: skip
def test_what_a_step_waits_for_is_told(kind: str, data: dict[str, Any], status: str, remark: str) -> None:
    event = Recorder(2)
    view = view_of([event("step.started", "check"), event(kind, "check", **data)])
    assert (view.steps["check"].status, view.steps["check"].remark(NOW)) == (status, remark)


def test_elsewhere_than_on_a_terminal_each_event_is_a_line() -> None:
    out = Console(file=io.StringIO(), width=200, color_system=None, force_terminal=False)
    with out.capture() as captured, RunDisplay("flights", STEPS, out=out, clock=lambda: NOW) as display:
        for event in failed_run():
            display.feed(event)
    lines = [line[10:] for line in captured.get().splitlines()]
    assert lines[:5] == [
        "○ run created",
        "● run started",
        "● Extract flights  started",
        "● Extract flights  progress  1.0 s  12,000 rows  loading 3/10",
        "✓ Extract flights  completed  2.0 s  340,098 rows",
    ]
    assert lines[-1] == "✗ run failed  6.0 s  Step check failed"


def test_a_terminal_keeps_the_last_picture() -> None:
    out = Console(file=io.StringIO(), width=80, height=20, force_terminal=True, color_system=None)
    with RunDisplay("flights", STEPS, out=out, clock=lambda: NOW) as display:
        for event in failed_run():
            display.feed(event)
        display.say("The connection is lost")
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "The connection is lost" in text
    assert text.rstrip().endswith("about it")


def test_a_step_over_elements_counts_them_and_shows_each_behind_itself() -> None:
    event = Recorder(20)
    view = view_of([event("run.created"), event("run.started"), event("step.expanded", "extract", count=2)])
    assert view.steps["extract"].note == "2 elements"
    assert list(view.steps) == ["extract", "extract[0]", "extract[1]", "check", "report"]
    assert view.steps["extract[1]"].title == "Extract flights[1]"
    view.apply(event("step.started", "extract[0]", tryNumber=1))
    view.apply(event("step.completed", "extract[0]", result={"value": {}}))
    assert view.steps["extract"].note == "1 of 2"
    view.apply(event("step.failed", "extract[1]", error={"message": "no"}))
    view.apply(event("step.failed", "extract", error={"message": "1 of 2 elements failed"}))
    view.apply(event("run.failed", error={"message": "no"}))
    view.apply(event("run.retried") | {"data": {"attempt": 2, "rerun": ["extract", "extract[1]"]}})
    assert [view.steps[f"extract[{i}]"].status for i in (0, 1)] == ["completed", "pending"]
    view.apply(event("step.expanded", "extract", attempt=2, count=2))
    view.apply(event("step.completed", "extract[1]", attempt=2, result={"value": {}}))
    assert view.steps["extract"].note == "2 of 2"
    view.apply(event("run.retried") | {"data": {"attempt": 3, "rerun": ["extract", "check"]}})
    assert list(view.steps) == ["extract", "check", "report"]
