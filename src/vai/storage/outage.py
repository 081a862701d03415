"""Tells the log once that the database cannot be used, and once that it can be again."""

import logging
import threading
import time

from vai.domain.state import Instant
from vai.ports import DiskFull, StoreUnavailable

_FULL_SECONDS = 3.0
"""How long a disk is taken for full after a write found no room."""

_logger = logging.getLogger("vai.storage")


class Outage:
    """The database's trouble, if it has any. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0  # on the monotonic clock
        self._full_at: float | None = None  # when the disk was last found full, on the monotonic clock
        self.since: Instant | None = None
        self.reason = ""  # of the trouble there is, or of the last one

    def noted(self, error: Exception) -> Exception:
        """The same error; if it says that the database cannot be used, that is told, unless it was told before."""
        if isinstance(error, DiskFull):
            self._full_at = time.monotonic()
        if isinstance(error, StoreUnavailable):
            self._begin(str(error))
        return error

    def _begin(self, reason: str) -> None:
        with self._lock:
            # Reading threads and the writer meet the same trouble at the same moment: one of them tells.
            if self.since is not None:
                return
            self.since, self._began, self.reason = time.time_ns() // 1_000_000, time.monotonic(), reason
        _logger.warning("The database cannot be used; what needs it waits, and is tried again: %s", reason)

    def over(self) -> None:
        """Something was written: the trouble, if there was any, is over."""
        if self.since is None:
            return
        # On a full disk small writes still find room between those that do not.
        if self._full_at is not None and time.monotonic() - self._full_at < _FULL_SECONDS:
            return
        with self._lock:
            began, self.since = self.since, None
        if began is not None:  # else the health check, on another thread, was faster
            _logger.warning("The database can be used again, after %.1f s.", time.monotonic() - self._began)
