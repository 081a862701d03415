"""Finding users' actions: the functions that are marked with `@vai.action` in a file or a module."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from vai.actions.marker import MARK


class BadActions(Exception):
    """A source of actions that cannot be used; the message says what is wrong and where."""


def marked_functions(source: str) -> Iterator[Callable[..., Any]]:
    """The marked functions of `path/to/file.py` or `package.module`. Raises BadActions."""
    module = load_module(source)
    seen: set[int] = set()
    found = False
    for value in list(vars(module).values()):
        if callable(value) and hasattr(value, MARK) and id(value) not in seen:
            seen.add(id(value))
            found = True
            yield value
    if not found:
        raise BadActions(f"{source}: no function there is marked with @vai.action.")


def load_module(source: str) -> ModuleType:
    """Import a source. Its own folder (for a module: the working directory) can be imported from."""
    is_file = source.endswith(".py") or "/" in source
    return _load_file(source) if is_file else _load_named(source)


def place_of(function: Callable[..., Any]) -> str:
    """`path/to/file.py:12`, for messages."""
    code = getattr(function, "__code__", None)
    if code is None:
        return str(getattr(function, "__module__", "unknown place"))
    return f"{_short(code.co_filename)}:{code.co_firstlineno}"


def _load_file(source: str) -> ModuleType:
    path = Path(source).expanduser().resolve()
    if not path.is_file():
        raise BadActions(f"{source}: there is no such file.")
    name = f"vai_actions_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadActions(f"{source}: this is not a Python file (its name must end with .py).")
    _import_from(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _explained(source, error, str(path)) from None
    return module


def _load_named(source: str) -> ModuleType:
    _import_from(Path.cwd())
    try:
        return importlib.import_module(source)
    except BaseException as error:
        raise _explained(source, error, None) from None


def _import_from(folder: Path) -> None:
    # At the end: a user's file must not stand in front of a module of the same name that others import.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _explained(source: str, error: BaseException, file: str | None) -> BaseException:
    """What went wrong in one sentence with its place; an interrupt stays what it is."""
    if isinstance(error, KeyboardInterrupt):
        return error
    last_line = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        return BadActions(f"{source}: {last_line} ({_short(error.filename)}:{error.lineno})")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    own = [frame for frame in frames if frame.filename == file] or frames
    place = f" ({_short(own[-1].filename)}:{own[-1].lineno})" if own else ""
    return BadActions(f"{source}: {last_line}{place}")


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
