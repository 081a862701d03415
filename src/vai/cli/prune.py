"""`vai prune`: remove runs that have been over for long."""

import re
from typing import Annotated

import typer

from vai.cli import output
from vai.cli.client import connect
from vai.cli.exits import usage
from vai.cli.live import FINAL
from vai.cli.options import ApiUrl, Json

app = typer.Typer(add_completion=False)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="TIME", help="Those that ended longer ago: 12h, 30d, 8w.")] = "30d",
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only these: completed, failed, cancelled; may be repeated.", show_default="all"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Remove final runs with their steps, events, decisions and artifacts.

    A run stays while it, the run that started it, or one that it started is live. What is removed cannot be had back.
    """
    for word in status or ():
        if word not in FINAL:
            usage(f"--status {word}: only completed, failed and cancelled runs can be removed.")
    body = {"olderThanSeconds": _seconds(older_than), "status": status or [], "dryRun": dry_run}
    api, runs, has_more = connect(api_url), 0, True
    while has_more:
        pruned = api.prune(body)
        runs += pruned["runs"]
        has_more = pruned["hasMore"]
    if json:
        output.emit({"runs": runs, "dryRun": dry_run})
        return
    output.console().print(f"{runs:,} runs {'would be' if dry_run else 'were'} removed", soft_wrap=True)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if found is None:
        usage(f"--older-than {text}: a number and a unit, as in 12h, 30d or 8w.")
    return int(found[1]) * _SECONDS[found[2]]
