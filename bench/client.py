"""A lean HTTP client on raw sockets: it must not measure itself, so it reads no more of an answer than it needs."""

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, Self

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_FINAL_EVENT = re.compile(rb"event: run\.(completed|failed|cancelled)\n")
_SECONDS = 120.0  # after which an answer is taken to be lost
_IDLE_SECONDS = 1.0  # after which a connection is made anew: servers close those that are not used


class BadAnswer(Exception):
    """The server answered something that the benchmark cannot go on with."""


class Connection:
    """One kept-alive connection. Not for several threads at once."""

    def __init__(self, port: int, key: str = "") -> None:
        self._address = ("127.0.0.1", port)
        self._head = f"Host: 127.0.0.1\r\nX-API-Key: {key}\r\n".encode()
        self._socket = self._connect()
        self._used_at = time.monotonic()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._address, timeout=_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request_bytes(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A whole request as bytes, to be made once and sent often."""
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n".encode() + self._head + length.encode() + b"\r\n" + body

    def exchange(self, request: bytes) -> bytes:
        """Send a request and return the answer's body. Raises BadAnswer unless its status is 2xx."""
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._socket.close()
            self._socket = self._connect()
        self._socket.sendall(request)
        data = self._socket.recv(65536)
        while _END not in data:
            data += self._more()
        head, _, body = data.partition(_END)
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        while len(body) < length:
            body += self._more()
        self._used_at = time.monotonic()
        if head[9:10] != b"2":
            raise BadAnswer(f"{head[:15].decode()}: {body[:500].decode()}")
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(262144)
        if not data:
            raise BadAnswer("the server closed the connection")
        return data

    def get(self, path: str) -> Any:
        """The JSON that a GET answers."""
        return json.loads(self.exchange(self.request_bytes("GET", path)))

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON that a POST answers."""
        text = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.exchange(self.request_bytes("POST", path, text)) or b"null")

    def open_stream(self, run_id: str) -> socket.socket:
        """A connection of its own on which the run's events come."""
        stream = self._connect()
        stream.sendall(self.request_bytes("GET", f"/api/v1/automation-runs/{run_id}/events"))
        return stream

    def wait_final(self, run_id: str) -> tuple[str, int]:
        """Follow the run's events to its end: the final status, and when its event was here (monotonic ns)."""
        with self.open_stream(run_id) as stream:
            data = b""
            for chunk in _chunks(stream):
                # A frame may be cut anywhere, so the end of what came before is looked at again.
                data = data[-64:] + chunk
                found = _FINAL_EVENT.search(data)
                if found:
                    return found[1].decode(), time.monotonic_ns()
        raise BadAnswer(f"the event stream of {run_id} ended before the run did: {data[-300:]!r}")


def _chunks(stream: socket.socket) -> Iterator[bytes]:
    while chunk := stream.recv(262144):
        yield chunk


def publish(connection: Connection, name: str, steps: list[dict[str, Any]]) -> str:
    """Make an automation of these steps, publish it, and return the path on which its runs are started."""
    made = connection.post("/api/v1/automations", {"name": name, "config": {"steps": steps}})
    connection.post(f"/api/v1/automations/{made['id']}/versions/1/publish")
    return f"/api/v1/automations/{made['id']}/runs"
