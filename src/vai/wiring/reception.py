"""How a request is taken in: uvicorn's own way, within bounds that it leaves to a proxy and we must not.

Without them anybody who reaches the port could fill the memory with headers that never end, before any key is asked
for, or hold connections for ever with halves of requests.
"""

from __future__ import annotations

import asyncio
import enum

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024  # of the request line and all headers; the first piece is not counted
HEAD_SECONDS = 30.0  # for the whole head
BODY_SECONDS = 60.0  # between two pieces of a body

_TOO_LARGE = (
    b'{"type":"/errors/head-too-large","title":"Request Header Fields Too Large","status":431,'
    b'"detail":"The request line and the headers are larger than 65536 bytes."}'
)
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE)
)


class _Part(enum.Enum):
    """What of a request is coming in."""

    NONE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A request that comes in one piece costs hardly more than with uvicorn alone."""

    _part = _Part.NONE
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin. Who connects and says nothing is not waited for either."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a piece: parts of requests, or several of them."""
        was = self._part
        super().data_received(data)
        if self._part is _Part.NONE or self.transport.is_closing():
            return
        if self._part is _Part.BODY:
            self._wait(BODY_SECONDS)
        elif was is not _Part.HEAD:
            self._head_bytes = 0
            if self._timer is None:
                self._wait(HEAD_SECONDS)
        else:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        """See HttpToolsProtocol."""
        super().on_message_begin()
        self._part = _Part.HEAD

    def on_headers_complete(self) -> None:
        """See HttpToolsProtocol."""
        super().on_headers_complete()
        self._part = _Part.BODY

    def on_message_complete(self) -> None:
        """See HttpToolsProtocol."""
        super().on_message_complete()
        self._part = _Part.NONE
        self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self) -> None:
        # An answer that is under way to an earlier request must not get this one into it.
        earlier: RequestResponseCycle | None = self.cycle
        if earlier is None or earlier.response_complete:
            self.transport.write(_ANSWER)
        self.transport.close()
