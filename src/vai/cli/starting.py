"""What the commands that start a process of their own have in common."""

import contextlib
from collections.abc import Iterator

from vai.cli.exits import FAILED, USAGE, Failure
from vai.settings import BadSetting
from vai.wiring import CannotServe


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Why the process cannot start, as a sentence with its exit code."""
    try:
        yield
    except BadSetting as reason:
        raise Failure(str(reason), USAGE) from reason
    except CannotServe as reason:
        raise Failure(str(reason), FAILED) from reason
