"""Looking at real processes (Linux)."""

import contextlib
import os
import select
from collections.abc import Iterator


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def is_alive(pid: int) -> bool:
    """False when it is gone; one that ended and waits for a parent that never reaps is gone too."""
    return not wait_gone(pid, 0)


def wait_gone(pid: int, seconds: float = 20) -> bool:
    """Wait until the process is gone; False if it is still there after so many seconds."""
    try:
        with _handle(pid) as handle:
            return bool(select.select([handle], [], [], seconds)[0])
    except ProcessLookupError:
        return True


def was_reaped(pid: int) -> bool:
    """True when not even a zombie is left."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
