"""Stands for the shop's other systems: its stock, its mails, its shipments, its books.  python3 shop.py 9004"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STOCK = {"tea": 1000, "kettle": 20, "cup": 0}
seen: set[str] = set()  # a request that comes a second time, after a crash, is answered and does nothing
lock = threading.Lock()


class Shop(BaseHTTPRequestHandler):
    """GET /stock/ITEM tells how many there are; what is POSTed is printed."""

    def do_GET(self) -> None:
        """How many pieces there are."""
        self.send({"pieces": STOCK.get(self.path.removeprefix("/stock/"), 0)})

    def do_POST(self) -> None:
        """Do it, once."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            if self.headers["Idempotency-Key"] not in seen:
                seen.add(self.headers["Idempotency-Key"])
                print(f"{self.path} {json.dumps(asked)}", flush=True)
        self.send({"done": True})

    def send(self, value: object) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only what is done is printed."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
