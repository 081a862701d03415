"""The steps of a run as lines that fit the terminal: for a run under way, and for one that is over."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from vai.cli import output
from vai.cli.live import RunView, StepLine
from vai.cli.rows import counted

MOST_WHEN_OVER = 60  # of a longer list only what did not complete is shown at the end
_NARROW = 60
_TITLE_MOST = 32
_ORDER = {"failed": 0, "running": 1, "awaiting_approval": 1, "retrying": 1, "pending": 3}


def draw(view: RunView, out: Console, now: float, heading: str, height: int | None = None) -> RenderableType:
    """The run's heading and a line a step; no more than `height` lines where that is given."""
    steps = list(view.steps.values())
    room = len(steps) if height is None else max(height - 3, 1)
    shown = _choose(steps, room)
    lines: list[RenderableType] = [_heading(view, out, now, heading), *_lines(shown, out, now)]
    if len(shown) < len(steps):
        lines.append(Text(f"  … and {_tally([s for s in steps if s not in shown])}", style="dim"))
    return Group(*lines)


def draw_final(view: RunView, out: Console, now: float, heading: str) -> RenderableType:
    """The run at its end: every step of a short list, else those that did not complete; errors in full below."""
    height = None
    if len(view.steps) > MOST_WHEN_OVER:
        unusual = sum(step.status != "completed" for step in view.steps.values())
        height = min(unusual, MOST_WHEN_OVER) + 3
    steps = list(view.steps.values())
    errors = _errors(steps, out, now)
    if view.error and not any(step.status == "failed" for step in steps):
        errors = [Text("\n") + Text(output.clean(view.error), style="red")]
    return Group(draw(view, out, now, heading, height), *errors)


def draw_steps(steps: Sequence[StepLine], out: Console, now: float) -> RenderableType:
    """A line a step, and below them in full the errors that did not fit into their lines."""
    return Group(*_lines(steps, out, now), *_errors(steps, out, now))


def draw_short(steps: Sequence[StepLine], out: Console, now: float) -> RenderableType:
    """The same, but of a long list without the elements of forEach that are as they should be."""
    shown = [step for step in steps if not ("[" in step.key and step.status == "completed")]
    if len(steps) <= MOST_WHEN_OVER or len(shown) == len(steps):
        return draw_steps(steps, out, now)
    more = Text(f"  … and {len(steps) - len(shown):,} elements that completed", style="dim")
    return Group(*_lines(shown, out, now), more, *_errors(shown, out, now))


def _choose(steps: list[StepLine], room: int) -> list[StepLine]:
    """The steps that matter most now, in the order of the definition: failed, at work, just ended, next."""
    if len(steps) <= room:
        return steps
    ranked = sorted(steps, key=lambda step: (_ORDER.get(step.status, 2), -step.moved))
    chosen = {step.key for step in ranked[:room]}
    return [step for step in steps if step.key in chosen]


def _tally(steps: Sequence[StepLine]) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.status] = counts.get(step.status, 0) + 1
    return f"{len(steps):,} more: " + ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _heading(view: RunView, out: Console, now: float, heading: str) -> Text:
    words = [output.status_text(view.status, out)]
    if view.cancel_requested and not view.is_final:
        words.append(Text("being cancelled", style="yellow"))
    if view.attempt > 1:
        words.append(Text(f"attempt {view.attempt}"))
    words.append(Text(output.duration(view.seconds(now))))
    status = Text("  ").join(word for word in words if word)
    room = max(out.width - status.cell_len - 2, 8)
    title = Text(output.clean(heading), style="bold")
    title.truncate(room, overflow="ellipsis")
    return Text("  ").join([title, status])


def _lines(steps: Sequence[StepLine], out: Console, now: float) -> list[RenderableType]:
    return [_cut(line, out.width) for line in _whole_lines(steps, out, now)]


def _errors(steps: Sequence[StepLine], out: Console, now: float) -> list[RenderableType]:
    lines = zip(steps, _whole_lines(steps, out, now), strict=True)
    cut = [step for step, line in lines if step.status == "failed" and line.cell_len > out.width]
    return [_error(step, out) for step in cut[:MOST_WHEN_OVER]]


def _whole_lines(steps: Sequence[StepLine], out: Console, now: float) -> list[Text]:
    unicode, width = output.speaks_unicode(out), out.width
    parts_of = [_Parts(step, now, width >= _NARROW) for step in steps]
    title_width = min(max((parts.title.cell_len for parts in parts_of), default=0), _title_room(width))
    widths = _Widths(title_width, *(max((len(t) for t in texts), default=0) for texts in _columns(parts_of)))
    return [parts.line(output.mark(parts.step.status, unicode=unicode), widths) for parts in parts_of]


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _columns(parts_of: Sequence["_Parts"]) -> tuple[list[str], list[str], list[str]]:
    return [p.status for p in parts_of], [p.time for p in parts_of], [p.rows for p in parts_of]


class _Widths(NamedTuple):
    """How wide each column is."""

    title: int
    status: int
    time: int
    rows: int


def _title_room(width: int) -> int:
    return max(min(_TITLE_MOST, width // 3), 8)


class _Parts:
    """The words of a step's line, before they are set in columns."""

    def __init__(self, step: StepLine, now: float, wide: bool) -> None:
        self.step = step
        self.title = Text(output.clean(step.title))
        # On a narrow terminal the symbol alone says the status; what it does not say, the remark does.
        self.status = step.status.replace("_", " ") if wide else ""
        self.time = output.duration(step.seconds(now))
        self.rows = "" if step.rows is None else (counted(step.rows, "row") if wide else f"{step.rows:,}")
        self.remark = output.clean(step.remark(now))

    def line(self, mark: Text, widths: _Widths) -> Text:
        """The line: symbol, title, status, time, rows and the remark."""
        title = self.title.copy()
        title.truncate(widths.title, overflow="ellipsis", pad=True)
        words = [Text(" ").join([Text("  ") + mark, title])]
        if widths.status:
            words.append(Text(f"{self.status:<{widths.status}}", style=output.style_of(self.step.status)))
        words.append(Text(f"{self.time:>{widths.time}}"))
        # Where there are no rows the remark takes their place: it is what needs the room.
        if self.rows:
            words.append(Text(f"{self.rows:>{widths.rows}}"))
        if self.remark:
            words.append(Text(self.remark, style="red" if self.step.error else "dim"))
        line = Text("  ").join(words)
        line.rstrip()
        return line


def _error(step: StepLine, out: Console) -> Text:
    symbol = output.mark("failed", unicode=output.speaks_unicode(out))
    return Text("\n") + symbol + Text(f" {output.clean(step.title)}: ", style="bold") + Text(output.clean(step.error))
