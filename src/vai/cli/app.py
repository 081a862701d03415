"""The root of the command line: what commands there are, loaded only when called, and the end of every error."""

import contextlib
import errno
import importlib
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from vai.cli.exits import CANCELLED, EPILOG, FAILED, PIPE_CLOSED, UNREACHABLE, Failure


class _Entry(NamedTuple):
    """A command by the module that has it (as `app`), and what it is for: known without loading it."""

    module: str
    help: str


_ENTRIES = {
    "serve": _Entry("vai.cli.serve", "Start the server: the API and an engine in one process."),
    "worker": _Entry("vai.cli.worker", "Start an engine without the API, beside servers on one database."),
    "run": _Entry("vai.cli.run", "Run an automation from a file, here and now, without a server."),
    "automations": _Entry("vai.cli.automations", "Define automations: apply, list, show, publish, validate, delete."),
    "runs": _Entry("vai.cli.runs", "Start runs and follow them: start, list, show, watch, logs, cancel, retry."),
    "decisions": _Entry("vai.cli.decisions", "What runs ask of people: list, show, approve, reject."),
    "triggers": _Entry("vai.cli.triggers", "What starts runs besides people: list, show, pause, resume, next."),
    "connections": _Entry(
        "vai.cli.connections", "Credentials of other systems: list, get, create, update, delete, verify."
    ),
    "artifacts": _Entry("vai.cli.artifacts", "Results that are too large to stand in their step: list, get."),
    "events": _Entry("vai.cli.events", "What happened, and events that runs wait for: list, get, post, count."),
    "kinds": _Entry("vai.cli.kinds", "What steps can do: list, show."),
    "doctor": _Entry("vai.cli.doctor", "Look at everything an operator would, and say what to do."),
    "backup": _Entry("vai.cli.backup", "Write the whole database into one file, also while servers use it."),
    "restore": _Entry("vai.cli.restore", "Put a backup in the place of the database."),
    "prune": _Entry("vai.cli.prune", "Remove runs that have been over for long."),
    "keys": _Entry("vai.cli.keys", "The master keys that credentials are encrypted under: rotate."),
    "version": _Entry("vai.cli.version", "Show the version."),
}


class _Lazy(TyperGroup):
    """A command that has not been loaded: it knows its name and its help, and becomes the real one when called."""

    def __init__(self, name: str, entry: _Entry) -> None:
        super().__init__(name=name, help=entry.help)
        self._module = entry.module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command."""
        app = importlib.import_module(self._module).app
        command = typer.main.get_command(app)
        command.name = self.name
        return command.make_context(info_name, args, parent=parent, **extra)


class _Root(TyperGroup):
    """The commands by name, in the order of a first day."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for name, entry in _ENTRIES.items():
            self.add_command(_Lazy(name, entry), name)


app = typer.Typer(
    name="vai",
    cls=_Root,
    no_args_is_help=True,
    epilog=EPILOG,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """vai: a self-hosted engine for automation runs."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    # Started with a closed stdout or stderr, as by `>&-`, Python has none; whatever is written then goes nowhere.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open to the end of the process)
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run the command line and say its exit code. Every error ends here, as a sentence on stderr."""
    try:
        code = _guarded(lambda: typer.main.get_command(app).main(args, prog_name="vai", standalone_mode=False))
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return PIPE_CLOSED
    except OSError as error:
        _abandon_stdout()
        return _other(error)
    return code


def _abandon_stdout() -> None:
    """What is left in it cannot be written; the interpreter must not try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _guarded(command: Callable[[], Any]) -> int:
    try:
        code = command()
    except Failure as failure:
        _say(failure.sentence, *failure.more)
        return failure.exit_code
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:
        raise
    except Exception as error:
        if _is_full(error):
            raise
        return _other(error)
    return code if isinstance(code, int) else 0


def _other(error: Exception) -> int:
    """An error of the arguments (they know their exit code), or one that nobody foresaw."""
    if isinstance(error, typer.TyperException):
        context, message = getattr(error, "ctx", None), error.format_message()
        if not message:  # the help was shown instead of one
            return error.exit_code
        hint = f"\nSee '{context.command_path} --help'." if context else ""
        _say(f"{message if message.endswith(('.', '?')) else message + '.'}{hint}")
        return error.exit_code
    if isinstance(error, typer.Abort):
        return CANCELLED
    if _is_full(error):
        _say("There is no space left where the output goes.")
        return FAILED
    if os.environ.get("VAI_DEBUG"):
        traceback.print_exc()
    _say(
        f"vai did not expect this: {type(error).__name__}: {' '.join(str(error).split())}\n"
        "Set VAI_DEBUG=1 to see where it happened."
    )
    return UNREACHABLE if isinstance(error, ConnectionError) else FAILED


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _say(text: str, *lines: str) -> None:
    """A text for people, wrapped at words on a terminal, and lines as they are."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(textwrap.fill(part, width, break_on_hyphens=False) for part in text.split("\n"))
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write("\n".join([text, *lines]) + "\n")
