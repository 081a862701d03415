"""Session locks of PostgreSQL that show which engines live, each held by a connection of its own."""

import logging
import os
import select
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from hashlib import blake2b

import psycopg

from vai.storage.statements import Connection

_logger = logging.getLogger(__name__)

_RETRY_MS = 200  # between attempts to take a lost lock again
_HELD = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SESSION = (
    # A host that vanishes without a word is noticed by the server in some ten seconds.
    *("SET tcp_keepalives_idle=4", "SET tcp_keepalives_interval=2", "SET tcp_keepalives_count=3"),
    "SET idle_session_timeout=0",  # it is idle all its life
)


class EngineLocks:
    """The locks of this process's engines. A thread waits on their connections, so that the end of one is noticed when
    it comes, and takes its lock again.

    The locks are shared ones: a new session of an engine has its lock before the server knows that the old one ended.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._guard = threading.Lock()
        self._sessions: dict[str, psycopg.Connection | None] = {}  # None: lost
        self._missed: set[str] = set()  # lost without a word: the server knows of no session that holds them
        self._bell = self._ring = -1  # the two ends of a pipe, by which the thread is woken
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def hold(self, engine_id: str) -> None:
        """Take the engine's lock, unless it is held. Blocks. Raises the driver's errors."""
        with self._guard:
            if self._sessions.get(engine_id) is None:
                self._sessions[engine_id] = self._session(engine_id)
            if self._thread is None:
                self._bell, self._ring = os.pipe()
                self._thread = threading.Thread(target=self._keep, name="vai-locks", daemon=True)
                self._thread.start()
        self._wake()

    def let_go(self, engine_id: str) -> None:
        """End the engine's session, and with it its lock."""
        with self._guard:
            session = self._sessions.pop(engine_id, None)
            if session is not None:
                session.close()
        self._wake()

    def missing(self, connection: Connection, engine_ids: Sequence[str]) -> Sequence[str]:
        """Those whose lock no session holds. Our own that are among those are taken again, by the thread."""
        ours = set(self._sessions)
        if not engine_ids and not ours:
            return []
        held = {row[0] for row in connection.execute(_HELD).fetchall()}
        lost = _not_in(held, ours)
        if lost:
            self._missed.update(lost)
            self._wake()
        return _not_in(held, engine_ids)

    def close(self) -> None:
        """End every session. Blocks."""
        if self._thread is None:
            return
        self._is_closing = True
        self._wake()
        self._thread.join()
        self._thread = None
        for engine_id in list(self._sessions):
            self.let_go(engine_id)
        for end in (self._bell, self._ring):
            os.close(end)

    def _session(self, engine_id: str) -> psycopg.Connection:
        connection = self._connect()
        try:
            for setting in _SESSION:
                with suppress(psycopg.errors.UndefinedObject):  # PostgreSQL 13 has no idle_session_timeout
                    connection.execute(setting.encode())
            connection.execute("SELECT pg_advisory_lock_shared(%s)", [_key(engine_id)])
        except BaseException:
            connection.close()
            raise
        return connection

    # --- the thread ------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._thread is not None:
            os.write(self._ring, b"!")

    def _keep(self) -> None:
        while not self._is_closing:
            for engine_id in self._wait():
                self._take_again(engine_id)

    def _wait(self) -> Collection[str]:
        """Wait until a session has something to say, which is its end, or somebody wakes us. Whose locks are lost."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        with self._guard:
            sessions = self._sessions.items()
            watched = {s.fileno(): engine_id for engine_id, s in sessions if s is not None and not s.closed}
            lost = set(self._sessions).difference(watched.values())
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(_RETRY_MS if lost else None)]
        if self._bell in ready:
            os.read(self._bell, 1024)
        missed, self._missed = self._missed, set()
        return lost | missed | {watched[descriptor] for descriptor in ready if descriptor in watched}

    def _take_again(self, engine_id: str) -> None:
        with self._guard:
            if engine_id not in self._sessions or self._is_closing:
                return
            old = self._sessions[engine_id]
            try:
                self._sessions[engine_id] = self._session(engine_id)
            except psycopg.Error as error:
                self._sessions[engine_id] = None
                _logger.debug("The session that shows that this engine lives is lost: %s", type(error).__name__)
            else:
                _logger.warning("The session that shows that this engine lives was cut; it has a new one.")
            if old is not None:
                old.close()


def _not_in(held: Collection[int], engine_ids: Collection[str]) -> list[str]:
    return [engine_id for engine_id in engine_ids if _key(engine_id) not in held]


def _key(engine_id: str) -> int:
    return int.from_bytes(blake2b(engine_id.encode(), digest_size=8).digest(), "big") >> 1
