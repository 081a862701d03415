"""Shows a run while its events come in: lines that move on a terminal, a line an event elsewhere."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from vai.cli import output
from vai.cli.live import Event, RunView, StepLine, time_of
from vai.cli.rows import counted
from vai.cli.steps_view import draw, draw_final

_REFRESH = 8  # a second
_QUIET = frozenset({"step.log", "step.log_dropped"})  # of logs a terminal shows none: 'vai runs logs' does


class RunDisplay:
    """A context: `feed` it the events in order. `heading` names the run; `steps` (each `{key, name}`) are listed
    before they begin; of attempts before `from_attempt` nothing is printed."""

    def __init__(
        self,
        heading: str,
        steps: Iterable[Mapping[str, Any]] = (),
        *,
        out: Console | None = None,
        from_attempt: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.heading = heading
        self.view = RunView.of_steps(steps)
        self._out = out or output.console()
        self._from_attempt = from_attempt
        self._clock = clock
        self._lock = threading.Lock()  # the screen is drawn by a thread of its own while events are fed
        self._live = (
            Live(
                console=self._out,
                get_renderable=self._draw,
                refresh_per_second=_REFRESH,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if self._out.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._out.print(draw_final(self.view, self._out, self._clock(), self.heading))

    def feed(self, event: Event) -> None:
        """Take in the next event, and show what it changes."""
        with self._lock:
            self.view.apply(event)
        if self._live is None and event["attempt"] >= self._from_attempt:
            self._out.print(line_of(event, self.view, self._out), soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, the screen is another's; what is fed meanwhile is seen afterwards."""
        if self._live is None:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def say(self, sentence: str) -> None:
        """A message between the lines, on stderr where stdout is no terminal."""
        if self._live is None:
            output.note(sentence)
        else:
            self._live.console.print(Text(output.clean(sentence), style="yellow"))

    def _draw(self) -> RenderableType:
        with self._lock:
            return draw(self.view, self._out, self._clock(), self.heading, height=self._out.height)


def line_of(event: Event, view: RunView, out: Console) -> Text:
    """One event, already folded into `view`, as a line."""
    at = time.strftime("%H:%M:%S", time.localtime(time_of(event)))
    key = event.get("stepKey")
    told = _of_run(event, view, out) if key is None else _of_step(event, view.steps[key], out)
    return Text(f"{at}  ") + told


def _of_run(event: Event, view: RunView, out: Console) -> Text:
    word = str(event["type"]).removeprefix("run.").replace("_", " ")
    data = event.get("data") or {}
    words = [output.mark(view.status, unicode=output.speaks_unicode(out)) + Text(f" run {word}", style="bold")]
    if event["type"] == "run.retried":
        words.append(Text(f"attempt {data['attempt']}, {counted(len(data['rerun']), 'step')} to run again"))
    if view.is_final:
        words.append(Text(output.duration(view.seconds(time_of(event)))))
    if view.error:
        words.append(Text(output.clean(view.error), style="red"))
    return Text("  ").join(words)


def _of_step(event: Event, step: StepLine, out: Console) -> Text:
    symbol = output.mark(step.status, unicode=output.speaks_unicode(out))
    data = event.get("data") or {}
    if event["type"] in _QUIET:
        level = str(data.get("level", "")).upper() or "LOG"
        said = data.get("message") if "message" in data else f"{data.get('count', 0):,} lines dropped"
        return Text(f"  {output.clean(step.key)}: {level} {output.clean(str(said))}", style="dim")
    now = time_of(event)
    word = str(event["type"]).removeprefix("step.").replace("_", " ")
    words = [symbol + Text(f" {output.clean(step.title)}", style="bold"), Text(word)]
    if step.ended_at is not None or event["type"] == "step.progress":
        words.append(Text(output.duration(step.seconds(now))))
    if step.rows is not None:
        words.append(Text(counted(step.rows, "row")))
    if remark := output.clean(step.remark(now)):
        words.append(Text(remark, style="red" if step.error else "dim"))
    return Text("  ").join(word for word in words if word)
