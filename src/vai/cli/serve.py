"""`vai serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vai.cli.options import Actions, DatabaseUrl
from vai.cli.starting import told
from vai.settings import settings_from
from vai.wiring import serve as serve_until_stopped

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on (VAI_HOST).", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port (VAI_PORT); 0 takes a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the server keeps its data (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    actions: Actions = None,
    engine: Annotated[
        bool | None, typer.Option("--engine/--no-engine", help="Drive runs in this process too (VAI_ENGINE).")
    ] = None,
) -> None:
    """Start the server: the API and an engine in one process.

    On its first start it makes the database and an API key for this machine, in the data folder. SIGTERM or Ctrl-C
    stops it: running steps are waited for; once more hands them back at once.
    """
    with told():
        settings = settings_from(
            os.environ,
            host=host,
            port=port,
            data_dir=data_dir,
            database_url=database_url,
            actions=tuple(actions) if actions else None,
            engine=engine,
        )
        raise typer.Exit(serve_until_stopped(settings))
