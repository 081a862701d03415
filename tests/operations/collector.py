"""A collector of traces on a loopback port: keeps what it is sent, in the protocol that real ones speak."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Spans:
    """The spans that came, and a way to wait for more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.url = ""

    def add(self, request: ExportTraceServiceRequest) -> None:
        with self._changed:
            for group in request.resource_spans:
                self.resources.append({item.key: item.value.string_value for item in group.resource.attributes})
                self._spans += [span for scope in group.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def wait(self, count: int) -> dict[str, Any]:
        """The spans by name, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._spans) >= count, 20), self._spans
            return {span.name: span for span in self._spans}

    @property
    def count(self) -> int:
        return len(self._spans)


@contextmanager
def collector() -> Iterator[Spans]:
    """A running collector."""
    spans = Spans()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            spans.add(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    spans.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes as plain values."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
