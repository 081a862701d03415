"""What the commands that start a process of their own have in common."""

import contextlib
import signal
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


def end_in_order() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does: what is half made is removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
