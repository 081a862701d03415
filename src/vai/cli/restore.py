"""`vai restore`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vai.cli import output
from vai.cli.options import DatabaseUrl
from vai.cli.starting import end_in_order, told
from vai.settings import settings_from
from vai.wiring.copying import artifacts_place
from vai.wiring.copying import restore as put_back

app = typer.Typer(add_completion=False)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What vai backup wrote.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder of the database (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    force: Annotated[bool, typer.Option("--force", help="Also where there is data, or a damaged database.")] = False,
) -> None:
    """Put a backup in the place of the database. No server or worker may be using it.

    When it fails, what was there is untouched. A SQLite database that was there is kept beside the new one.
    """
    end_in_order()
    with told():
        settings = settings_from(os.environ, data_dir=data_dir, database_url=database_url)
        done = put_back(settings, file, force=force)
    output.console().print(f"restored {file}, schema {done.revision}")
    if done.kept is not None:
        output.console().print(f"what was there before is {done.kept}")
    output.hint(f"Files that steps attached are not in it: put your copy of {artifacts_place(settings)} back too.")
    output.hint("Start the server: runs that were live when the backup was made go on from there.")
