"""`vai run`: an automation from a file, in this process, on the same code as the server."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from vai.cli import output
from vai.cli.asking import terminal
from vai.cli.display import RunDisplay
from vai.cli.exits import FAILED, OF_STATUS, USAGE, Failure
from vai.cli.faults import Fault, lines_of, path_of
from vai.cli.files import DefinitionFile, read_definition
from vai.cli.options import Actions, File, Input
from vai.cli.reading import read_json
from vai.settings import BadSetting, Settings, settings_from
from vai.wiring import Attendant, CannotServe, InvalidDefinition, InvalidInput, RunOutcome, run_once

app = typer.Typer(add_completion=False)


@app.command()
def run(
    file: File,
    input: Input = None,
    actions: Actions = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the run's data here.", show_default="a temporary folder")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the run's events, one a line, for scripts.")] = False,
) -> None:
    """Run an automation from a file, here and now, without a server.

    What it asks of people, it asks on the terminal, whoever the assignees are; without a terminal it is cancelled then.
    Ctrl-C cancels the run. The exit code says how it ended.
    """
    definition, run_input = read_definition(file), read_json(input)
    with _settings(data_dir, actions) as settings:
        outcome = _run(settings, definition, run_input, json)
    if outcome.unanswered is not None:
        advice = "Run it on a terminal, or on a server, where people can answer with 'vai decisions'."
        raise Failure(f"{outcome.unanswered} Nobody can be asked here, so the run was cancelled. {advice}", FAILED)
    raise typer.Exit(OF_STATUS.get(outcome.status, FAILED))


@contextmanager
def _settings(data_dir: Path | None, actions: list[str] | None) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="vai-run-", ignore_cleanup_errors=True) as temporary:
        try:
            yield settings_from(
                {name: value for name, value in os.environ.items() if name not in ("VAI_DATA_DIR", "VAI_DATABASE_URL")},
                data_dir=data_dir or Path(temporary),
                actions=tuple(actions) if actions else None,
            )
        except BadSetting as reason:
            raise Failure(str(reason), USAGE) from reason


def _run(settings: Settings, definition: DefinitionFile, run_input: Any, json: bool) -> RunOutcome:
    try:
        if json:
            attendant = Attendant(output.emit_line, terminal(nullcontext))
            return run_once(settings, definition.name, definition.config, run_input, attendant)
        with RunDisplay(definition.name, _steps(definition.config)) as display:
            attendant = Attendant(display.feed, terminal(display.paused))
            return run_once(settings, definition.name, definition.config, run_input, attendant)
    except CannotServe as reason:
        raise Failure(str(reason), FAILED) from reason
    except InvalidDefinition as reason:
        faults = [Fault(path_of(fault.loc), fault.msg) for fault in reason.faults]
        raise Failure(
            f"{definition.path} is not a valid definition:", FAILED, lines_of(faults, str(definition.path))
        ) from reason
    except InvalidInput as reason:
        faults = [Fault(path_of(fault.loc), fault.msg) for fault in reason.faults]
        raise Failure("The input does not fit the automation:", FAILED, lines_of(faults, "input")) from reason


def _steps(config: Any) -> list[dict[str, Any]]:
    """The steps of a config that nobody has checked yet, as far as they can be shown."""
    steps = config.get("steps") if isinstance(config, dict) else None
    return (
        [s for s in steps if isinstance(s, dict) and isinstance(s.get("key"), str)] if isinstance(steps, list) else []
    )
