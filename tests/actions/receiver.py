"""A real HTTP server on loopback that keeps what it is sent, and answers as it is told to."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Received(msgspec.Struct):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(msgspec.Struct):
    """What is sent back."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}


class Receiver:
    """`answer` decides on each request; `release` ends those that it lets hang with `hang`."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], Answer] = lambda _: Answer()
        self.release = threading.Event()
        self.arrived = threading.Event()
        self.port = 0

    def hang(self, _: Received) -> Answer:
        """An answer that does not come before the test is over."""
        self.arrived.set()
        self.release.wait(60)
        return Answer()


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A server that runs meanwhile."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, self.rfile.read(length))
            receiver.requests.append(received)
            answer = receiver.answer(received)
            with contextlib.suppress(ConnectionError):
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body if self.command != "HEAD" else b"")

        do_GET = do_HEAD = do_POST = do_PUT = _handle

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
