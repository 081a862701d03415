"""`vai doctor`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from vai.cli import output
from vai.cli.exits import COMPLETED, FAILED
from vai.cli.options import Actions, DatabaseUrl
from vai.cli.starting import told
from vai.settings import settings_from
from vai.wiring.doctor import examine
from vai.wiring.finding import WRONG, Finding

app = typer.Typer(add_completion=False)

_MARKS = {"ok": ("✓", "+", "green"), "note": ("!", "!", "yellow"), "wrong": ("✗", "x", "red")}


@app.command()
def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder to look at (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    actions: Actions = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for scripts.")] = False,
) -> None:
    """Look at the database, engines, waiting runs, disk, clock, extras and the server, and say what to do.

    Changes nothing. The exit code is 1 when something is wrong.
    """
    with told():
        settings = settings_from(
            os.environ, data_dir=data_dir, database_url=database_url, actions=tuple(actions) if actions else None
        )
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not json:
            _show(finding)
    is_well = all(finding.level != WRONG for finding in findings)
    if json:
        output.emit({"ok": is_well, "findings": [finding._asdict() for finding in findings]})
    raise typer.Exit(COMPLETED if is_well else FAILED)


def _show(finding: Finding) -> None:
    out = output.console()
    symbol, plain, style = _MARKS[finding.level]
    mark = Text(symbol if output.speaks_unicode(out) else plain, style=style)
    out.print(mark, Text(f"{finding.check:<13}", style="bold"), output.clean(finding.found), soft_wrap=True)
    if finding.advice:
        out.print(Text(f"  {'':<13} {output.clean(finding.advice)}", style="dim"), soft_wrap=True)
