"""`vai version`."""

import platform
from typing import Annotated

import typer

from vai import __version__
from vai.cli import output

app = typer.Typer(add_completion=False)


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Show the version of vai and of the Python that runs it."""
    if json:
        output.emit({"version": __version__, "python": platform.python_version()})
    else:
        output.console().print(f"vai {__version__} (Python {platform.python_version()})")
