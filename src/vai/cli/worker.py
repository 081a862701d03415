"""`vai worker`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vai.cli.options import Actions, DatabaseUrl
from vai.cli.starting import told
from vai.settings import settings_from
from vai.wiring import work

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where this process keeps its data (VAI_DATA_DIR).", show_default=".vai")
    ] = None,
    database_url: DatabaseUrl = None,
    actions: Actions = None,
    temporal: Annotated[
        bool, typer.Option("--temporal", help="Work for the Temporal server at VAI_TEMPORAL_ADDRESS instead.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Serve /metrics and /health here too (VAI_METRICS_PORT); 0 takes a free one."
        ),
    ] = None,
) -> None:
    """Start an engine, or with --temporal a worker of Temporal, without the API, beside servers on one database.

    Any number may share a database; one that dies is replaced by the others. SIGTERM or Ctrl-C stops it: running
    steps are waited for; once more hands them back at once.
    """
    with told():
        settings = settings_from(
            os.environ,
            data_dir=data_dir,
            database_url=database_url,
            actions=tuple(actions) if actions else None,
            metrics_port=metrics_port,
            engine=not temporal,
            dag_engine="temporal" if temporal else None,
            temporal_worker=temporal or None,
        )
        raise typer.Exit(work(settings))
