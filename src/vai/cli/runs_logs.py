"""`vai runs logs`: what the steps of a run logged."""

import time
from collections.abc import Iterable

from rich.text import Text

from vai.cli import output
from vai.cli.client import Api, Body
from vai.cli.exits import CANCELLED
from vai.cli.follow import Follow
from vai.cli.live import time_of

_LOGS = frozenset({"step.log", "step.log_dropped"})
_STYLES = {"warning": "yellow", "error": "red", "critical": "red", "debug": "dim"}


def print_logs(api: Api, run_id: str, step: str | None, *, follow: bool, json: bool) -> int:
    """Print the log lines of a run, or of one of its steps; the exit code."""
    out = output.console()
    printed = 0
    events: Iterable[Body] = Follow(api, run_id, say=output.note) if follow else api.events(run_id)
    try:
        for event in events:
            if event["type"] not in _LOGS or step not in (None, event["stepKey"]):
                continue
            printed += 1
            if json:
                output.emit_line(event)
            else:
                out.print(log_line(event, with_step=step is None), soft_wrap=True)
    except KeyboardInterrupt:
        return CANCELLED
    if not printed and not json:
        output.note("Nothing was logged." if step is None else f"Step {step} logged nothing.")
    return 0


def log_line(event: Body, *, with_step: bool) -> Text:
    """A log event as a line: time, step, level, message and its fields."""
    data, at = event["data"], time_of(event)
    moment = time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"
    if event["type"] == "step.log_dropped":
        level, message = "warning", f"{data.get('count', 0):,} lines were dropped here"
    else:
        level, message = str(data.get("level", "info")).lower(), str(data.get("message", ""))
    fields = " ".join(f"{name}={value}" for name, value in (data.get("fields") or {}).items())
    words = [Text(moment, style="dim")]
    if with_step:
        words.append(Text(output.clean(event["stepKey"] or ""), style="bold"))
    words += [Text(f"{level.upper():<7}", style=_STYLES.get(level, "")), Text(output.clean(message))]
    if fields:
        words.append(Text(output.clean(fields), style="dim"))
    return Text(" ").join(words)
