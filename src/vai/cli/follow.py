"""Follows the event stream of a run over lost connections, each event once and in order."""

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from vai.cli.client import Api, Body, Refused
from vai.cli.exits import UNREACHABLE, Failure
from vai.cli.transport import ConnectionLost

_SILENCE = 45.0  # seconds without even a comment, three of the server's: the connection is dead
_GIVE_UP = 300.0  # seconds without a server
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0

_BAD_GATEWAYS = frozenset({502, 503, 504})  # the server, or what stands before it, is being started


class Follow:
    """The events of a run behind `after`, until its stream ends. `say` hears of lost connections.

    Raises Failure when the server stays away, Refused when it refuses.
    """

    def __init__(
        self,
        api: Api,
        run_id: str,
        after: int = 0,
        *,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._run_id = run_id
        self._last = after
        self._say = say
        self._pause = pause
        self._clock = clock
        self._heard_at = clock()
        self._pauses = _FIRST_PAUSE
        self._is_lost = False

    def __iter__(self) -> Iterator[Body]:
        while True:
            try:
                for event in self._events():
                    if event is None:
                        return
                    yield event
            except ConnectionLost:
                self._lost()
            except Refused as refusal:
                if refusal.status not in _BAD_GATEWAYS:
                    raise
                self._lost()
            else:
                self._lost(quietly=True)  # the server dropped a slow listener, or is being stopped

    def _events(self) -> Iterator[Body | None]:
        """The events of one connection; None at the stream's end."""
        response = self._api.open_events(self._run_id, self._last, _SILENCE)
        self._found()
        try:
            for kind, data in parse_stream(response.iter_bytes()):
                if kind == "stream.end":
                    yield None
                    return
                event = msgspec.json.decode(data)
                self._heard_at = self._clock()
                # A number seen before (the server was older than we thought) is not told twice.
                if event["seq"] > self._last:
                    self._last = event["seq"]
                    yield event
        finally:
            response.close()

    def _found(self) -> None:
        self._heard_at = self._clock()
        self._pauses = _FIRST_PAUSE
        if self._is_lost:
            self._is_lost = False
            self._say("Connected again.")

    def _lost(self, *, quietly: bool = False) -> None:
        if self._clock() - self._heard_at > _GIVE_UP:
            raise Failure(
                f"The server at {self._api.transport.connection.url} has been away for {_GIVE_UP / 60:.0f} minutes. "
                f"The run may go on; look again with 'vai runs watch {self._run_id}'.",
                UNREACHABLE,
            )
        if not self._is_lost and not quietly:
            self._is_lost = True
            self._say("The connection to the server is lost; trying again …")
        self._pause(self._pauses)
        self._pauses = min(self._pauses * 2, _LONGEST_PAUSE)
        self._api.transport.reconnect()


def parse_stream(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The events of a text/event-stream as (type, data). Comments and an event cut off at the end are dropped."""
    kind, data = "message", list[str]()
    for line in _lines(chunks):
        if not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines. Not by `splitlines`: a log message may hold characters that it takes for ends of lines."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()
