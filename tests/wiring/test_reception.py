"""Requests that never end: cut off, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn

from vai.wiring import reception
from vai.wiring.reception import BoundedProtocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
REFUSED = b"HTTP/1.1 431 "


class Timer:
    """What a timer's caller gets."""

    def __init__(self, clock: "Clock", seconds: float, call: Callable[[], Any]) -> None:
        self.clock, self.seconds, self.call = clock, seconds, call

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class Clock:
    """Instead of the loop's: timers that the test rings."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.create_task = asyncio.get_running_loop().create_task

    def call_later(self, seconds: float, call: Callable[[], Any]) -> Timer:
        timer = Timer(self, seconds, call)
        self.timers.append(timer)
        return timer

    def ring(self) -> list[float]:
        rung = list(self.timers)
        for timer in rung:
            timer.call()
        return [timer.seconds for timer in rung]


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Connection:
    """A connection to an application that reads the body and answers."""

    def __init__(self) -> None:
        self.clock, self.transport, self.answered = Clock(), Transport(), asyncio.Event()
        config = uvicorn.Config(self._serve, interface="asgi3", lifespan="off", log_config=None, ws="none")
        config.load()
        state = uvicorn.server.ServerState()
        self.protocol = BoundedProtocol(config, state, {}, _loop=self.clock)  # type: ignore[arg-type]
        self.protocol.connection_made(self.transport)

    async def _serve(self, _scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        self.answered.set()

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece)

    async def answer(self) -> bytes:
        await asyncio.wait_for(self.answered.wait(), 5)
        self.answered.clear()
        written, self.transport.written = self.transport.written, b""
        return written


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    made = Connection()
    yield made
    made.protocol.connection_lost(None)


async def test_headers_that_never_end_are_refused(connection: Connection) -> None:
    connection.feed(GET)
    for _ in range(reception.MAX_HEAD_BYTES // 1000):
        connection.feed(b"X: " + b"a" * 995 + b"\r\n")
        assert not connection.transport.closed
    connection.feed(b"Y: " + b"a" * 995)
    assert connection.transport.closed
    assert connection.transport.written.startswith(REFUSED)


async def test_one_header_that_never_ends_is_refused(connection: Connection) -> None:
    connection.feed(GET + b"X: ", *[b"a" * 10_000] * 7)
    assert connection.transport.written.startswith(REFUSED)


async def test_each_request_has_its_own_bound(connection: Connection) -> None:
    head = [GET, *[b"X: " + b"a" * 995 + b"\r\n"] * 50, b"\r\n"]
    for _ in range(5):
        connection.feed(*head)
        assert (await connection.answer()).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("pieces", [[], [b"GET"], [GET, b"X: y\r\n"], [b"\r\n", b"\r\n"]])
async def test_half_a_head_is_not_waited_for(connection: Connection, pieces: list[bytes]) -> None:
    connection.feed(*pieces)
    assert connection.clock.ring() == [reception.HEAD_SECONDS]
    assert connection.transport.closed


async def test_a_head_in_many_pieces_has_one_time_for_all(connection: Connection) -> None:
    before = list(connection.clock.timers)
    connection.feed(GET, b"X: y\r\n", b"Z: y\r\n")
    assert connection.clock.timers == before


async def test_a_body_may_take_its_time_as_long_as_it_comes(connection: Connection) -> None:
    connection.feed(POST, b"12345")
    before = list(connection.clock.timers)
    connection.feed(b"67")
    assert connection.clock.timers != before
    assert connection.clock.ring() == [reception.BODY_SECONDS]
    assert connection.transport.closed


async def test_nothing_is_waited_for_while_an_answer_is_under_way(connection: Connection) -> None:
    connection.feed(POST, b"1234567890")
    assert connection.clock.timers == []
    assert (await connection.answer()).startswith(b"HTTP/1.1 204")


async def test_a_later_head_is_not_waited_for_either(connection: Connection) -> None:
    connection.feed(GET + b"\r\n")
    await connection.answer()
    connection.feed(b"GET /")
    assert connection.clock.ring() == [reception.HEAD_SECONDS]
