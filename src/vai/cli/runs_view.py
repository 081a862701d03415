"""How runs look on a terminal."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from vai.cli import output
from vai.cli.client import Body
from vai.cli.live import StepLine
from vai.cli.output import Column, parse_time
from vai.cli.rows import rows_of
from vai.cli.steps_view import MOST_WHEN_OVER, draw_short, draw_steps

_RUNS = [
    Column("RUN"),
    Column("AUTOMATION", flexible=True),
    Column("STATUS"),
    Column("TRIGGER", from_width=90),
    Column("STARTED", from_width=70),
    Column("AGE", from_width=38),
    Column("TOOK", from_width=60, right=True),
]
_REASONS = [Column("STEP", flexible=True), Column("WHY", wraps=True)]
_PLAN = [Column("STEP", flexible=True), Column("NEXT"), Column("WHY", wraps=True)]


def run_rows(items: Sequence[Body], names: Mapping[str, str], out: Console) -> Table:
    """A line a run."""
    rows: list[list[str | Text]] = [
        [
            output.short_id(run["id"]),
            names.get(run["automationId"], output.short_id(run["automationId"])),
            output.status_text(run["status"], out),
            run["triggerType"],
            output.local_time(run["startedAt"] or run["createdAt"]),
            output.age(run["startedAt"] or run["createdAt"]),
            output.duration(_seconds(run)),
        ]
        for run in items
    ]
    return output.table(_RUNS, rows, out.width)


def run_page(run: Body, steps: Body, name: str, out: Console) -> RenderableType:
    """Everything about one run."""
    error = run["error"] or {}
    facts: list[tuple[str, str | Text]] = [
        ("status", _status(run, out)),
        ("automation", f"{name} (version {run['versionNumber']})"),
        ("run", run["id"]),
        ("attempt", str(run["attempt"]) if run["attempt"] > 1 else ""),
        ("key", run["concurrencyKey"] or ""),
        ("trigger", f"{run['triggerType']} by {run['triggerSourceType'].replace('_', ' ')}"),
        ("created", output.moment(run["createdAt"])),
        ("started", output.moment(run["startedAt"])),
        ("ended", output.moment(run["completedAt"])),
        ("took", output.duration(_seconds(run))),
        ("error", Text(output.clean(error.get("message", "")), style="red")),
    ]
    return Group(output.facts(facts), Text(""), draw_short(_lines_of(steps), out, time.time()))


def _status(run: Body, out: Console) -> Text:
    being = run.get("cancelRequestedAt") and run["completedAt"] is None
    return output.status_text(run["status"], out) + Text(", being cancelled" if being else "")


def _seconds(run: Body) -> float | None:
    if run["durationSeconds"] is not None or run["startedAt"] is None or run["completedAt"] is not None:
        return run["durationSeconds"]  # type: ignore[no-any-return]
    return time.time() - (parse_time(run["startedAt"]) or 0)


def steps_page(body: Body, out: Console) -> RenderableType:
    """A line a step, and the errors that do not fit into it."""
    return draw_steps(_lines_of(body), out, time.time())


def _lines_of(body: Body) -> list[StepLine]:
    return [step_line(step) for step in body["steps"]]


def step_line(step: Mapping[str, Any]) -> StepLine:
    """A step of the API's answer as the line that its events would have made."""
    retrying = step["status"] == "pending" and step["nextAttemptAt"] is not None
    note = (step["skipReason"] or "").replace("_", " ")
    if not note and step["tries"] > 1:
        note = f"{step['tries']} tries"
    return StepLine(
        key=step["key"],
        name=step["name"],
        status="retrying" if retrying else step["status"],
        started_at=parse_time(step["startedAt"]),
        ended_at=parse_time(step["completedAt"]),
        tries=step["tries"],
        rows=rows_of(step["result"]) if step["status"] == "completed" else None,
        note=note,
        error=(step["error"] or {}).get("message", ""),
        due_at=parse_time(step["nextAttemptAt"] or step["waitUntil"]),
    )


def plan_page(steps: Sequence[Body], out: Console) -> RenderableType:
    """What a retry would do, a line a step; of a long list without the elements of forEach that are reused."""
    shown = [step for step in steps if not ("[" in step["key"] and step["action"] == "reuse")]
    if len(steps) <= MOST_WHEN_OVER or len(shown) == len(steps):
        return _plan_rows(steps, out)
    more = Text(f"… and {len(steps) - len(shown):,} elements to reuse", style="dim")
    return Group(_plan_rows(shown, out), more)


def _plan_rows(steps: Sequence[Body], out: Console) -> Table:
    unicode = output.speaks_unicode(out)
    rows: list[list[str | Text]] = []
    for step in steps:
        word = output.mark(step["action"], unicode=unicode) + Text(f" {step['action']}")
        rows.append([step["key"], word, step["reason"]])
    return output.table(_PLAN, rows, out.width)


def explanation_rows(body: Body, out: Console) -> Table:
    """Why a run and its steps stand where they stand, a line a reason."""
    rows: list[list[str | Text]] = []
    for reason in body["reasons"]:
        until = f" Until {output.local_time(reason['until'])}." if reason["until"] else ""
        advice = f" {reason['advice']}" if reason["advice"] else ""
        rows.append([reason["stepKey"] or "the run", Text(output.clean(reason["reason"] + until + advice))])
    return output.table(_REASONS, rows, out.width)
