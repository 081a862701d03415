"""The pictures of the examples: the graph of a definition, with the states that its run ends in.

`make docs` writes them. A test holds them current, and the tests of the examples hold the states against real runs.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from vai.cli.files import read_definition
from vai.definition import Definition, parse
from vai.domain.graph import Graph, StepSpec

ROOT = Path(__file__).resolve().parents[1]

States = Mapping[str, str]
"""By the key of a step: its status, or `kept` where a retry reused what an earlier attempt had done.

A step with forEach may say more behind its status: `failed: 498 ✓, 2 ✗`.
"""


class Picture(NamedTuple):
    """What is drawn: a definition, what the picture tells, and the states of each attempt."""

    definition: str
    title: str
    attempts: tuple[States, ...]


PICTURES = {
    "example-nightly": Picture(
        "examples/nightly/nightly.yaml",
        "A schedule starts the run; the orders are loaded and added up, a person says yes, the totals are published",
        (dict.fromkeys(("extract", "totals", "release", "report", "publish", "tell"), "completed"),),
    ),
    "example-parcels": Picture(
        "examples/parcels/parcels.yaml",
        "In attempt 1 two of 500 elements fail; in attempt 2 only these two, and what needs them, run again",
        (
            {"list": "completed", "announce": "failed: 498 ✓, 2 ✗", "summary": "skipped"},
            {"list": "kept", "announce": "completed: 498 kept, 2 ✓", "summary": "completed"},
        ),
    ),
    "example-reviews": Picture(
        "examples/reviews/reviews.yaml",
        "A model reads a review with a tool, a person checks what it found, and it is filed",
        (dict.fromkeys(("judge", "check", "file"), "completed"),),
    ),
    "example-orders": Picture(
        "examples/orders/orders.yaml",
        "A webhook starts the run; the order is dear: a person looks at it, and it is shipped insured and booked",
        (
            dict.fromkeys(("stock", "route", "review", "ship_insured", "book"), "completed")
            | dict.fromkeys(("apologise", "ship"), "skipped"),
        ),
    ),
}
"""The pictures by the names of their files in docs/images."""

# --- places, in pixels -------------------------------------------------------------------------------------

WIDTH, HEIGHT = 268, 56  # of a box
ACROSS, DOWN = 28, 40  # between boxes
MARGIN, HEAD = 24, 40

MARKS = {"completed": "✓", "kept": "✓", "failed": "✗", "skipped": "–", "cancelled": "■"}
COLOURS = {"completed": "ok", "kept": "kept", "failed": "bad", "skipped": "off", "cancelled": "off"}

STYLE = """\
    .page { fill: #ffffff; stroke: #c9d1d9 }
    .head { font-weight: 600; font-size: 15px; fill: #1f2328 }
    .name { font-weight: 600; fill: #1f2328 }
    .soft { fill: #57606a; font-size: 12px }
    .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px; fill: #57606a }
    .line { fill: none; stroke: #57606a; stroke-width: 1.5; stroke-linejoin: round }
    .begin { fill: #ddf4ff; stroke: #0969da }
    .ok { fill: #dafbe1; stroke: #1a7f37 }
    .bad { fill: #ffebe9; stroke: #cf222e }
    .off { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 4 3 }
    .kept { fill: #ffffff; stroke: #1a7f37; stroke-dasharray: 4 3 }
    .person { fill: #57606a }"""

Written = Mapping[str, Any]
"""The `definition` of a step, as it is written."""

Place = tuple[float, float]
"""The left upper corner of a box."""


def rows(graph: Graph) -> list[list[str]]:
    """The steps from above: each stands below all that it needs."""
    depth: dict[str, int] = {}
    waiting = list(graph.steps)
    while waiting:
        key = next(k for k in waiting if all(up in depth for up in graph.steps[k].depends_on))
        depth[key] = 1 + max((depth[up] for up in graph.steps[key].depends_on), default=-1)
        waiting.remove(key)
    return [[key for key in graph.steps if depth[key] == row] for row in range(max(depth.values()) + 1)]


def near(graph: Graph, spec: StepSpec) -> list[str]:
    """What a step needs, without what something else that it needs comes behind anyway."""
    return [up for up in spec.depends_on if not graph.downstream([up]) & (set(spec.depends_on) - {up})]


def places(graph: Graph, left: float, top: float, width: float) -> dict[str, Place]:
    """Where each box stands; rows are in the middle of the width."""
    found = {}
    for number, keys in enumerate(rows(graph)):
        begin = left + (width - _row_width(keys)) / 2
        for column, key in enumerate(keys):
            found[key] = (begin + column * (WIDTH + ACROSS), top + number * (HEIGHT + DOWN))
    return found


def _row_width(keys: list[str]) -> int:
    return len(keys) * (WIDTH + ACROSS) - ACROSS


# --- drawing -----------------------------------------------------------------------------------------------


def text(css: str, x: float, y: float, said: str, anchor: str = "start") -> str:
    """A line of text that begins, ends or has its middle at x."""
    return f'  <text class="{css}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(said)}</text>'


def box(css: str, place: Place) -> str:
    """An empty box."""
    x, y = place
    return f'  <rect class="{css}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'


def arrow(start: Place, end: Place, label: str | None = None) -> Iterator[str]:
    """From the lower edge of one box to the upper edge of another, with a word beside it.

    It turns only above the other, so that it passes the boxes between them.
    """
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1] - 2
    turn = y2 - DOWN / 2 - 6
    yield f'  <path class="line" d="M{x1:g} {y1:g}V{turn:g}H{x2:g}V{y2:g}" marker-end="url(#tip)"/>'
    if label:
        yield text("soft", x2 + 10, y2 - 6, label)


def step_box(spec: StepSpec, written: Written, state: str, place: Place) -> Iterator[str]:
    """A step with its state. One with forEach is a pile; one that asks people shows a person."""
    x, y = place
    status, _, more = state.partition(": ")
    if spec.for_each is not None:
        yield from (box(COLOURS[status], (x + shift, y + shift)) for shift in (8, 4))
    yield box(COLOURS[status], place)
    yield text("name", x + 14, y + 24, f"{MARKS[status]} {spec.name or spec.key}")
    yield text("code", x + 14, y + 43, spec.kind)
    if spec.kind != "call_agent":
        yield text("soft", x + WIDTH - 14, y + 43, more or status, "end")
    else:
        tools = ", ".join(tool["name"] for tool in written["tools"])
        yield text("soft", x + WIDTH - 14, y + 43, f"may call {tools}", "end")
    if spec.kind == "approval_gate":
        yield f'  <circle class="person" cx="{x + WIDTH - 23:g}" cy="{y + 14:g}" r="4"/>'
        yield f'  <path class="person" d="M{x + WIDTH - 31:g} {y + 28:g}a8 8 0 0 1 16 0z"/>'


def labels(spec: StepSpec, written: Written) -> dict[str, str]:
    """What stands at the arrows from a branch: the names of its cases by the steps that they lead to."""
    if spec.kind != "conditional_branch":
        return {}
    said = dict.fromkeys(written.get("default", ()), "else")
    for case in written["cases"]:
        said |= dict.fromkeys(case["steps"], case["name"])
    return said


def attempt(definition: Definition, states: States, left: float, top: float, width: float) -> Iterator[str]:
    """The graph once, with what starts it above."""
    graph = definition.graph
    where = places(graph, left, top, width)
    written = {step["key"]: step["definition"] for step in definition.normalised["steps"]}
    begins = [(left + (width - WIDTH) / 2, top - HEIGHT - DOWN)] if definition.triggers else []
    for place, trigger in zip(begins, definition.triggers, strict=False):
        yield from chain.from_iterable(arrow(place, where[key]) for key in rows(graph)[0])
        yield box("begin", place)
        yield text("name", place[0] + 14, place[1] + 24, trigger.type)
        yield text("code", place[0] + 14, place[1] + 43, told(trigger.settings))
    for spec in graph.steps.values():
        for up in near(graph, spec):
            yield from arrow(where[up], where[spec.key], labels(graph.steps[up], written[up]).get(spec.key))
    for spec in graph.steps.values():
        yield from step_box(spec, written[spec.key], states[spec.key], where[spec.key])


def told(settings: Mapping[str, object]) -> str:
    """What a trigger waits for, in a few words."""
    return " ".join(str(settings[name]) for name in ("schedule", "timezone", "path") if settings.get(name))


def draw(picture: Picture) -> str:
    """The picture as an SVG document."""
    file = read_definition(ROOT / picture.definition)
    definition = parse(file.config, None)
    levels = rows(definition.graph)
    width = max(map(_row_width, levels)) + 8
    several = len(picture.attempts) > 1
    top = MARGIN + (HEAD if several else 0) + (HEIGHT + DOWN if definition.triggers else 0)
    drawn: list[str] = []
    for number, states in enumerate(picture.attempts):
        left = MARGIN + number * (width + 2 * ACROSS)
        if several:
            drawn.append(text("head", left, MARGIN + 14, f"attempt {number + 1}"))
        drawn += attempt(definition, states, left, top, width)
    wide = 2 * MARGIN + len(picture.attempts) * (width + 2 * ACROSS) - 2 * ACROSS
    high = top + len(levels) * (HEIGHT + DOWN) - DOWN + MARGIN + 8
    return page(picture.title, wide, high, drawn)


def page(title: str, width: float, height: float, drawn: Iterable[str]) -> str:
    """The document around what is drawn."""
    head = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img"
     aria-labelledby="title" font-size="14"
     font-family="ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">
  <title id="title">{escape(title)}</title>
  <style>
{STYLE}
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
      <path d="M0 0 8 4 0 8z" fill="#57606a"/>
    </marker>
  </defs>
  <rect class="page" x="1" y="1" width="{width - 2:g}" height="{height - 2:g}" rx="12"/>"""
    return "\n".join([head, *drawn, "</svg>\n"])
