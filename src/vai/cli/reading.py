"""Text of files, and JSON given as an argument, a file or on stdin."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from vai.cli.exits import usage


def read_text(path: Path) -> str:
    """The text of a file. Refuses one that cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        usage(f"There is no file {path}.")
    except IsADirectoryError:
        usage(f"{path} is a folder, not a file.")
    except UnicodeDecodeError:
        usage(f"{path} is not UTF-8 text.")
    except OSError as error:
        usage(f"{path} cannot be read: {error.strerror}.")


def read_json(argument: str | None) -> Any:
    """JSON given as an argument: itself, `@file`, or `-` for stdin. None stays None."""
    if argument is None:
        return None
    if argument == "-":
        return _decode(sys.stdin.read(), "The input on stdin")
    if argument.startswith("@"):
        path = Path(argument[1:])
        return _decode(read_text(path), str(path))
    return _decode(argument, "The input")


def _decode(text: str, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        usage(f"{what} is not JSON: {error}.")
