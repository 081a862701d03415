"""`vai artifacts`: what steps answered that was too large to stand in them, and files that they attached."""

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from vai.cli import output
from vai.cli.client import connect, is_uuid
from vai.cli.exits import FAILED, Failure, usage
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column

app = group("Artifacts: results that are too large to stand in their step, and files that steps attached.")

_COLUMNS = [
    Column("ARTIFACT"),
    Column("KIND"),
    Column("BYTES"),
    Column("NAME", from_width=90),
    Column("RUN", from_width=70),
    Column("MADE", from_width=70),
]


@app.command("list")
def list_artifacts(
    action_run: Annotated[str | None, typer.Option(metavar="ID", help="Only of this action run.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only these: json, text or file.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """List artifacts, newest first."""
    body = connect(api_url).artifacts(action_run_id=action_run, kind=kind, limit=limit)
    if json:
        output.emit(body)
        return
    if not body["artifacts"]:
        output.note("There is no such artifact." if action_run or kind else "There is no artifact yet.")
        return
    out = output.console()
    rows: list[list[Any]] = [
        [
            one["id"],
            one["kind"],
            f"{one['sizeBytes']:,}",
            one["name"] or "",
            output.short_id(one["automationRunId"]),
            output.moment(one["createdAt"]),
        ]
        for one in body["artifacts"]
    ]
    out.print(output.table(_COLUMNS, rows, out.width))
    if body["hasNext"]:
        output.hint(f"{len(rows):,} of {body['total']:,} artifacts; --limit shows more.")


@app.command()
def get(
    artifact: Annotated[str, typer.Argument(metavar="ID", help="An artifact's id.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write into this file, which is made new.")
    ] = None,
    api_url: ApiUrl = None,
) -> None:
    """Write the content of an artifact to stdout, or into a file."""
    if not is_uuid(artifact):
        usage(f"{artifact} is not an artifact's id.")
    pieces = connect(api_url).artifact_content(artifact)
    first = next(pieces, b"")  # a refusal leaves no file behind
    if to is None:
        for piece in chain([first], pieces):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        size = _write_new(to, chain([first], pieces))
    except FileExistsError:
        usage(f"{to} is there already.")
    except OSError as error:
        raise Failure(f"{to} cannot be written: {error.strerror}.", FAILED) from error
    output.note(f"{size:,} bytes are in {to}.")


def _write_new(to: Path, pieces: Iterable[bytes]) -> int:
    """Make the file, whole or not at all; how many bytes it has."""
    with to.open("xb") as file:
        try:
            return sum(file.write(piece) for piece in pieces)
        except BaseException:
            to.unlink(missing_ok=True)
            raise
