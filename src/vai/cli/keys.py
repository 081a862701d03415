"""`vai keys`: the master keys that credentials are encrypted under."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vai.cli import output
from vai.cli.options import DatabaseUrl, group
from vai.cli.starting import end_in_order, told
from vai.settings import settings_from
from vai.wiring.keys import rotate_keys

app = group("The master keys that credentials are encrypted under.")


@app.callback()
def keys() -> None:
    """The master keys that credentials are encrypted under."""


@app.command()
def rotate(
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder of the database (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON, for scripts.")] = False,
) -> None:
    """Encrypt every organization's data key anew under the newest master key, also while servers work.

    Put the new key before the old one in VAI_SECRET_KEY (or in secret.key) of every process, restart them, rotate, and
    then take the old one away. When a key is missing, nothing is changed.
    """
    end_in_order()
    with told():
        count = rotate_keys(settings_from(os.environ, data_dir=data_dir, database_url=database_url))
    if json:
        output.emit({"rotated": count})
        return
    output.console().print(f"{count} data keys were encrypted anew under the newest master key", soft_wrap=True)
