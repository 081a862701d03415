"""A real server on loopback that speaks the chat-completions protocol, and answers by a script."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.actions.receiver import Answer, Received, Receiver, receiving

Script = list[Answer | Callable[[Received], Answer]]


class ChatServer:
    """Gives the answers of its script, one a request; `asked` has what it was asked."""

    def __init__(self, receiver: Receiver, script: Script) -> None:
        self.receiver, self._script = receiver, script
        self.address = f"http://127.0.0.1:{receiver.port}/v1"
        receiver.answer = self._answer

    def _answer(self, received: Received) -> Answer:
        if received.path != "/v1/chat/completions" or not self._script:
            return Answer(status=418)
        answer = self._script.pop(0)
        return answer if isinstance(answer, Answer) else answer(received)

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(request.body) for request in self.receiver.requests]


@contextlib.contextmanager
def chatting(*script: Answer | Callable[[Received], Answer]) -> Iterator[ChatServer]:
    """A server that runs meanwhile."""
    with receiving() as receiver:
        yield ChatServer(receiver, list(script))


def said(text: str) -> Answer:
    """The model says this, and is done."""
    return _completion({"role": "assistant", "content": text}, "stop")


def calls(*named: tuple[str, Any]) -> Answer:
    """The model calls tools by name; arguments that are text are sent as they are."""
    tool_calls = [
        {
            "id": f"call-{number}-{name}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else msgspec.json.encode(given).decode(),
            },
        }
        for number, (name, given) in enumerate(named)
    ]
    return _completion({"role": "assistant", "content": None, "tool_calls": tool_calls}, "tool_calls")


def _completion(message: dict[str, Any], reason: str) -> Answer:
    body = {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "test-model",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return Answer(body=msgspec.json.encode(body))
