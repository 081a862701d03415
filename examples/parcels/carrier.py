"""Stands for a carrier that parcels are announced to.  python3 carrier.py 9001

It does not know the street of two of them until somebody tells it, and now and then it is too busy to answer.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

unknown_streets = {"1013", "1417"}
labels: dict[str, str] = {}  # by parcel
counts = {"announced": 0, "refused": 0, "busy": 0}
busy_once = {"1100", "1200", "1300"}
lock = threading.Lock()


def announce(parcel: str) -> tuple[int, dict[str, Any]]:
    """Take one parcel; the same parcel twice is still one."""
    if parcel in busy_once:
        busy_once.discard(parcel)
        counts["busy"] += 1
        return 503, {"error": "busy"}
    if parcel in unknown_streets:
        counts["refused"] += 1
        return 422, {"error": f"the street of parcel {parcel} is unknown"}
    counts["announced"] += 1
    return 201, {"label": labels.setdefault(parcel, f"L-{parcel}")}


class Carrier(BaseHTTPRequestHandler):
    """POST /parcels/ID announces one, POST /streets tells the missing streets, GET / counts."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Announce a parcel, or learn the streets."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            if self.path == "/streets":
                unknown_streets.clear()
                self.answer(200, {"unknown": 0})
            else:
                self.answer(*announce(self.path.removeprefix("/parcels/")))

    def do_GET(self) -> None:
        """Say how often what happened."""
        self.answer(200, {**counts, "parcels": len(labels)})

    def answer(self, status: int, value: object) -> None:
        """Send JSON."""
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """500 requests are not printed."""


class Server(ThreadingHTTPServer):
    """Lets many connect at once."""

    request_queue_size = 128


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1])), Carrier)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
