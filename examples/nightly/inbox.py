"""Stands for the people who are told: prints each message that it is sent.  python3 inbox.py 9000"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inbox(BaseHTTPRequestHandler):
    """Takes what `notify` sends to an address that begins with json://."""

    def do_POST(self) -> None:
        """Print one message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(f"{message['title']}: {message['message']}", flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing but the messages is printed."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Inbox)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
