"""What the commands print: consoles, tables that fit, symbols, times and JSON."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any, NamedTuple, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vai.cli.exits import PIPE_CLOSED, usage

_UNBOUNDED = 400  # columns, where nobody's terminal sets a width
_LEAST = 10  # columns that a word keeps when it is cut


class Mark(NamedTuple):
    """How a status looks: the symbol (and one for terminals without Unicode) says what the colour says."""

    symbol: str
    plain: str
    style: str


MARKS = {
    "completed": Mark("✓", "+", "green"),
    "failed": Mark("✗", "x", "red"),
    "running": Mark("●", ">", "cyan"),
    "pending": Mark("○", "o", "dim"),
    "skipped": Mark("–", "-", "dim"),
    "cancelled": Mark("⊘", "/", "yellow"),
    "awaiting_approval": Mark("⏸", "=", "magenta"),
    "retrying": Mark("⟳", "~", "yellow"),  # pending, and it has failed before
    "approved": Mark("✓", "+", "green"),
    "rejected": Mark("✗", "x", "red"),
    "expired": Mark("–", "-", "dim"),
    "withdrawn": Mark("⊘", "/", "yellow"),
    "active": Mark("✓", "+", "green"),
    "draft": Mark("○", "o", "yellow"),
    "archived": Mark("–", "-", "dim"),
    "rerun": Mark("⟳", "~", "yellow"),
    "reuse": Mark("✓", "+", "green"),
    "skip": Mark("–", "-", "dim"),
}
_UNKNOWN = Mark("?", "?", "")


class _Output(Console):
    """A console that ends the program quietly when the reader of its pipe has gone."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        pipe_closed()


def pipe_closed() -> NoReturn:
    """Nobody reads our output any more: end as any program does then, without a word."""
    # The interpreter flushes stdout once more at its end; that must not meet the closed pipe again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(PIPE_CLOSED)


def console(*, stderr: bool = False) -> Console:
    """The console for stdout, or for messages. Into a pipe or a file nothing is cut, unless COLUMNS says so."""
    stream = sys.stderr if stderr else sys.stdout
    # A terminal that cannot show a character gets a question mark instead of a traceback.
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    return _Output(stderr=stderr, width=_width(stream), highlight=False, markup=False, emoji=False)


def _width(stream: IO[str]) -> int | None:
    """Columns; None leaves it to the console. COLUMNS=0 is how some programs say that they know no width."""
    is_unknown = os.environ.get("COLUMNS") == "0"
    if stream.isatty():
        return shutil.get_terminal_size().columns if is_unknown else None
    return None if "COLUMNS" in os.environ and not is_unknown else _UNBOUNDED


def note(sentence: str) -> None:
    """A message to the person, on stderr."""
    out = console(stderr=True)
    out.print(clean(sentence), soft_wrap=not out.is_terminal)


def hint(sentence: str) -> None:
    """What one may do next: for people at a terminal only."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        console(stderr=True).print(Text(clean(sentence), style="dim"))


def emit(body: Any) -> None:
    """A body of the API on stdout, for scripts."""
    _write(msgspec.json.format(msgspec.json.encode(body), indent=2))


def json_text(value: Any) -> str:
    """A value as JSON in one line; nothing for None."""
    return "" if value is None else msgspec.json.encode(value).decode()


def emit_line(body: Any) -> None:
    """A body of the API on stdout as one line, where several follow one another."""
    _write(msgspec.json.encode(body))


def _write(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pipe_closed()


def clean(text: str) -> str:
    """One line without control characters: text from elsewhere must not steer the terminal."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "�" for char in line)


def mark(status: str, *, unicode: bool = True) -> Text:
    """The symbol of a status, coloured."""
    found = MARKS.get(status, _UNKNOWN)
    return Text(found.symbol if unicode else found.plain, style=found.style)


def style_of(status: str) -> str:
    """The style of a status."""
    return MARKS.get(status, _UNKNOWN).style


def status_text(status: str, out: Console) -> Text:
    """Symbol and word of a status."""
    word = Text(f" {status.replace('_', ' ')}", style=style_of(status))
    return mark(status, unicode=speaks_unicode(out)) + word


def speaks_unicode(out: Console) -> bool:
    """True when the symbols can be shown."""
    return out.encoding.lower().startswith("utf")


class Column(NamedTuple):
    """A column of a table. `from_width`: it is left out on narrower terminals; `flexible`: it may be cut;
    `wraps`: it goes on in the next line instead."""

    title: str
    from_width: int = 0
    right: bool = False
    flexible: bool = False
    wraps: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], width: int) -> Table:
    """A table that fits `width`: unimportant columns go first, then long words end in …."""
    shown = [index for index, column in enumerate(columns) if width >= column.from_width]
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for index in shown:
        column = columns[index]
        natural = _natural(column.title, rows, index)
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            min_width=min(natural, _LEAST) if column.flexible or column.wraps else natural,
        )
    for row in rows:
        drawn.add_row(*(_cell(row[index]) for index in shown))
    return drawn


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(clean(value))


def _natural(title: str, rows: Sequence[Sequence[str | Text]], index: int) -> int:
    return max([len(title), *(_cell(row[index]).cell_len for row in rows)])


def short_id(identifier: str | None) -> str:
    """The end of an id: ids begin with the time, so those of one minute begin alike."""
    return identifier[-8:] if identifier else ""


def duration(seconds: float | None) -> str:
    """A span for people: 0.12 s, 12.3 s, 4 min 5 s, 3 h 12 min, 2 d 4 h."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{max(seconds, 0):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return ""


def parse_time(text: str | None) -> float | None:
    """Seconds since the epoch of a time of the API."""
    return datetime.fromisoformat(text).timestamp() if text else None


def age(text: str | None, now: float | None = None) -> str:
    """How long ago a time of the API is, in one unit: 12 s, 3 min, 2 d."""
    at = parse_time(text)
    if at is None:
        return ""
    seconds = int(max((time.time() if now is None else now) - at, 0))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def local_time(text: str | None, now: float | None = None) -> str:
    """A time of the API in the local zone; the day only when it is not today."""
    at = parse_time(text)
    if at is None:
        return ""
    moment = datetime.fromtimestamp(at)
    today = datetime.fromtimestamp(time.time() if now is None else now).date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M")


def moment(text: str | None) -> str:
    """A time of the API as the local time and its age."""
    return f"{local_time(text)} ({age(text)} ago)" if text else ""


def facts(pairs: Sequence[tuple[str, str | Text]]) -> Table:
    """Names and values, one below the other; what has no value is left out."""
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            drawn.add_row(name, _cell(value))
    return drawn


def ask(question: str) -> bool:
    """Ask on the terminal; no is the default. Refuses where nobody can answer."""
    if not sys.stdin.isatty():
        usage(f"{question} Nobody can be asked here: say --yes.")
    sys.stderr.write(f"{clean(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
