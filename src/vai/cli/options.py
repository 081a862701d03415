"""The options that commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print what the API answers, for scripts.")]
ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", metavar="URL", help="The server. Default: VAI_API_URL, else the one of the data folder."),
]
Input = Annotated[
    str | None,
    typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The run's input: JSON, a file of it, or - for stdin."),
]
Actions = Annotated[
    list[str] | None,
    typer.Option(
        "--actions",
        "-a",
        metavar="FILE|MODULE",
        help="Python file or module with actions of your own; may be repeated.",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", metavar="URL", help="postgresql://… or sqlite:///…. Default: SQLite in the data folder."
    ),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The definition, in YAML or JSON.", show_default=False)]


def group(help_text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
