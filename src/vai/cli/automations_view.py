"""How automations look on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from vai.cli import output
from vai.cli.client import Body
from vai.cli.output import Column

_LIST = [
    Column("NAME", flexible=True),
    Column("STATUS"),
    Column("VERSIONS", from_width=70, right=True),
    Column("NEWEST RUN", from_width=50),
    Column("CHANGED", from_width=70),
]
_VERSIONS = [
    Column("VERSION", right=True),
    Column("STATUS"),
    Column("PUBLISHED", flexible=True),
    Column("CHANGED", from_width=70),
]
_STEPS = [Column("STEP", flexible=True), Column("KIND", flexible=True), Column("NEEDS", from_width=50, flexible=True)]


def automation_rows(items: Sequence[Body], out: Console) -> Table:
    """A line an automation."""
    rows: list[list[str | Text]] = [
        [
            item["name"],
            output.status_text(item["status"], out),
            str(item["versionsSummary"]["count"]),
            _latest(item["latestRun"], out),
            output.moment(item["updatedAt"]),
        ]
        for item in items
    ]
    return output.table(_LIST, rows, out.width)


def automation_page(automation: Body, versions: Sequence[Body], out: Console) -> RenderableType:
    """Everything about one automation."""
    facts = [
        ("status", output.status_text(automation["status"], out)),
        ("about", automation["description"] or ""),
        ("id", automation["id"]),
        ("newest run", _latest(automation["latestRun"], out, with_id=True)),
        ("changed", output.moment(automation["updatedAt"])),
    ]
    parts: list[RenderableType] = [
        Text(output.clean(automation["name"]), style="bold"),
        output.facts(facts),
        Text(""),
        output.table(_VERSIONS, [_version(version, out) for version in versions], out.width),
    ]
    steps = automation["config"].get("steps")
    if isinstance(steps, list):
        parts += [Text(""), output.table(_STEPS, [_step(step) for step in steps], out.width)]
    return Group(*parts)


def _latest(run: Body | None, out: Console, *, with_id: bool = False) -> Text:
    if run is None:
        return Text("none yet", style="dim")
    told = output.status_text(run["status"], out)
    when = output.age(run["completedAt"] or run["startedAt"])
    parts = [
        told,
        Text(f"{when} ago" if when else "", style="dim"),
        Text(output.short_id(run["id"]) if with_id else ""),
    ]
    return Text("  ").join(part for part in parts if part)


def _version(version: Body, out: Console) -> list[str | Text]:
    published, changed = output.moment(version["publishedAt"]), output.moment(version["updatedAt"])
    return [str(version["number"]), output.status_text(version["status"], out), published, changed]


def _step(step: dict[str, Any]) -> list[str | Text]:
    return [str(step.get("key", "")), str(step.get("kind", "")), ", ".join(step.get("dependsOn") or ())]
