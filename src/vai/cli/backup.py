"""`vai backup`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vai.cli import output
from vai.cli.options import DatabaseUrl
from vai.cli.starting import end_in_order, told
from vai.settings import settings_from
from vai.wiring.copying import artifacts_place, back_up

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder of the database (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON, for scripts.")] = False,
) -> None:
    """Write the whole database into one file, also while servers use it.

    The file is checked before it gets its name. It holds no admin key and no file that a step attached: those are in
    the data folder, or at VAI_ARTIFACTS_URL.
    """
    end_in_order()
    with told():
        settings = settings_from(os.environ, data_dir=data_dir, database_url=database_url)
        made = back_up(settings, file, force=force)
    if json:
        output.emit({"file": str(made.path), "sizeBytes": made.size_bytes, "schema": made.revision, "runs": made.runs})
        return
    runs = "" if made.runs is None else f", {made.runs} runs"
    output.console().print(f"{made.path}: {made.size_bytes / 1e6:.1f} MB{runs}, schema {made.revision}, checked")
    output.hint(f"It does not hold the files that steps attached: copy {artifacts_place(settings)} after it.")
    output.hint("It does not hold the admin key. Keep admin.key apart, or let the next start make a new one.")
