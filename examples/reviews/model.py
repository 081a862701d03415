"""Stands for a model, with the protocol of OpenAI's chat completions.  python3 model.py 9002

It understands nothing: it asks for the products, and takes the first one that the review names. For a real model, give
the connection its address and key.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def answer(messages: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The tool that the model calls next, with its arguments; `final_result` is the answer."""
    review = next(message["content"] for message in messages if message["role"] == "user")
    found = [message["content"] for message in messages if message["role"] == "tool"]
    if not found:
        return "list_products", {}
    products = json.loads(found[0])["json"]
    product = next((one for one in products if one in review.lower()), "nothing known")
    return "final_result", {"product": product, "content": "not" not in review.lower()}


class Model(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    def do_POST(self) -> None:
        """Go on with a conversation."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer sk-example":
            self.send({"error": {"message": "wrong key"}}, 401)
            return
        tool, arguments = answer(asked["messages"])
        print(f"asked {len(asked['messages'])} messages, calls {tool}", flush=True)
        call = {"name": tool, "arguments": json.dumps(arguments)}
        said = {"role": "assistant", "content": None}
        said["tool_calls"] = [{"id": f"call-{len(asked['messages'])}", "type": "function", "function": call}]
        self.send(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": asked["model"],
                "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            }
        )

    def send(self, value: object, status: int = 200) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What it is asked is printed above."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Model)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
