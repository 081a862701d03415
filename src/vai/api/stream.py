"""The answer of an event stream: sends batches as they come, stays awake, and ends when anybody leaves."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vai.api import wire
from vai.api.doors import HttpOptions
from vai.ports import StoreUnavailable
from vai.runs import Batch, SlowListener

_log = logging.getLogger(__name__)


class Streams:
    """The open event streams of an application: they end when the server is about to stop."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()

    def end(self) -> None:
        """End every open stream, and each that is opened later. Call on the event loop."""
        self.ending.set()


class EventStream(Response):
    """Sends a run's events until the run is over, the listener leaves or stalls, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, run_id: str, batches: AsyncIterator[Batch], streams: Streams, options: HttpOptions) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._run_id = run_id
        self._batches = cast("AsyncGenerator[Batch, None]", batches)
        self._streams = streams
        self._options = options
        self._sent_at = time.monotonic()
        self._under_way = 0  # sends that have not come back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        # Whoever is done first ends the stream; the rest is cancelled and waited for, so that nothing stays behind.
        sender = asyncio.ensure_future(self._send_batches(send))
        others = [
            asyncio.ensure_future(self._stay_awake(send)),
            asyncio.ensure_future(_gone(receive)),
            asyncio.ensure_future(self._streams.ending.wait()),
        ]
        try:
            await asyncio.wait([sender, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sender, *others):
                task.cancel()
            await asyncio.gather(sender, *others, return_exceptions=True)
        if not sender.cancelled() and sender.exception() is not None:
            raise cast("BaseException", sender.exception())
        if not self._under_way:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_batches(self, send: Send) -> None:
        # Closing it by hand frees the listener now, not when the garbage collector comes round.
        async with contextlib.aclosing(self._batches):
            try:
                async for batch in self._batches:
                    await self._send(send, wire.encoded(batch))
                await self._send(send, wire.end(self._run_id))
            except (SlowListener, TimeoutError):
                _log.info("A listener of run %s took its events too slowly and was dropped.", self._run_id)
            except StoreUnavailable as reason:
                _log.warning("An event stream of run %s was cut: %s", self._run_id, reason)

    async def _send(self, send: Send, chunk: bytes) -> None:
        """Send a chunk. Raises TimeoutError when the listener takes nothing for too long."""
        self._under_way += 1
        async with asyncio.timeout(self._options.stall_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        # Not in a `finally`: after one that did not come back nothing more can be sent.
        self._under_way -= 1
        self._sent_at = time.monotonic()

    async def _stay_awake(self, send: Send) -> None:
        """Comment on a quiet stream; return when not even that can be sent."""
        interval = self._options.heartbeat_seconds
        with contextlib.suppress(TimeoutError):
            while True:
                quiet = time.monotonic() - self._sent_at
                if quiet < interval or self._under_way:
                    await asyncio.sleep(max(interval - quiet, interval / 10))
                else:
                    await self._send(send, wire.COMMENT)


async def _gone(receive: Receive) -> None:
    """Return when the listener has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
