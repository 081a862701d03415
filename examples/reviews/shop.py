"""Stands for the shop: it has products, and takes reviews.  python3 shop.py 9003"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(BaseHTTPRequestHandler):
    """GET /products lists them, POST /reviews files one."""

    def do_GET(self) -> None:
        """The products."""
        self.send(["tea", "cups", "kettle"])

    def do_POST(self) -> None:
        """Print a review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps(review), flush=True)
        self.send({"filed": True})

    def send(self, value: object) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing but the reviews is printed."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
