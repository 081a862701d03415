"""Since when engines have been missing, as this process sees it: an engine whose session was cut connects again."""

import time
from collections.abc import Callable, Iterable

from vai.storage.statements import Connection


class Absences:
    """Of those that are missing, which are so for long enough to be dead. Used by the writer's thread alone."""

    def __init__(self, grace_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._connection: Connection | None = None
        self._since: dict[str, float] = {}

    @property
    def in_doubt(self) -> bool:
        """True when engines are missing that are not known to be dead."""
        return bool(self._since)

    def dead(self, connection: Connection, missing: Iterable[str]) -> set[str]:
        """Those that were missing whenever one looked, for `grace_seconds` or longer. `connection` has just looked."""
        if connection is not self._connection:
            # We were cut off ourselves, as all engines are in a failover: they get their time from now on.
            self._connection, self._since = connection, {}
        now = self._clock()
        self._since = {engine_id: self._since.get(engine_id, now) for engine_id in missing}
        dead = {engine_id for engine_id, since in self._since.items() if now - since >= self._grace_seconds}
        for engine_id in dead:
            del self._since[engine_id]
        return dead
