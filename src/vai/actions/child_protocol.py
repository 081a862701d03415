"""A child process as the event loop sees it: lines that arrive, and its end."""

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Callable
from typing import cast

LAST_LINES = 20
MAX_LINE_BYTES = 8_192


class LineReader(asyncio.Protocol):
    """Hands on what comes through a pipe line by line. `ended` is done when the pipe is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_line: Callable[[bytes], None]) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._on_line = on_line
        self._pieces: list[bytes] = []
        self._transport: asyncio.BaseTransport | None = None

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if b"\n" not in data:  # a large line comes in many pieces: they are joined once
            self._pieces.append(data)
            return
        lines = b"".join((*self._pieces, data)).split(b"\n")
        self._pieces = [lines.pop()]
        for line in lines:
            self._on_line(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class ChildProtocol(asyncio.SubprocessProtocol):
    """Output becomes log lines; `ended` is done when the process was reaped and its output was read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_output: Callable[[int, bytes], str]) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._loop = loop
        self._on_output = on_output
        self._transport: asyncio.SubprocessTransport | None = None
        self._rests = {1: b"", 2: b""}
        self._open = {1, 2}
        self._has_exited = False

    @property
    def is_running(self) -> bool:
        """True from its start until it was reaped."""
        return self._transport is not None and not self._has_exited

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it."""
        return self._transport.get_returncode() if self._transport else None

    def signal_group(self, number: int) -> None:
        """Send a signal to the child and to all that it started."""
        if self.is_running and self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), number)

    def close(self) -> None:
        """Close the pipes."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)  # uvloop's is no subclass of it

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rests[fd] = (self._rests[fd] + data).split(b"\n")
        for line in lines:
            self._tell(fd, line)
        if len(self._rests[fd]) > MAX_LINE_BYTES:  # a bar that draws itself anew, or binary data
            self._tell(fd, self._rests[fd])
            self._rests[fd] = b""

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._open:
            self._open.discard(fd)
            self._tell(fd, self._rests[fd])
            self._finish_if_done()

    def process_exited(self) -> None:
        self.signal_group(signal.SIGKILL)  # what it started does not outlive it
        self._has_exited = True
        # What it started may hold its output open for ever.
        self._loop.call_later(0.5, self._finish)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._has_exited and not self._open:
            self._finish()

    def _finish(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _tell(self, fd: int, line: bytes) -> None:
        text = self._on_output(logging.INFO if fd == 1 else logging.WARNING, line[:MAX_LINE_BYTES])
        if text and fd == 2:
            self.last_lines.append(text)
