"""`http_request` against a real server on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.actions.context import Context
from vai.actions.http_exchange import retry_after
from vai.ports import ActionFailed, Actions, ActionStopped

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """Answers with what it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.is_silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
            self.requests.append(head + body.decode())
            self.asked.set()
            if self.is_silent:
                await reader.read()
            else:
                writer.write(self.answer)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    listener = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield served


async def send(kinds: Actions, context: Context, **definition: Any) -> Any:
    action = kinds.get("http_request")
    assert action is not None
    return await action.run(definition, context)


async def refused(kinds: Actions, context: Context, **definition: Any) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        await send(kinds, context, **definition)
    return caught.value


async def test_what_is_sent(kinds: Actions, context: Context, server: Server) -> None:
    await send(
        kinds,
        context,
        method="post",
        url=f"{server.url}/a?x=1",
        headers={"X-One": "1"},
        query={"y": [2, 3], "none": None, "z": True},
        json={"a": 1},
    )
    (request,) = server.requests
    assert request.startswith("POST /a?x=1&y=2&y=3&z=true HTTP/1.1\r\n")
    assert "X-One: 1" in request
    assert f"Idempotency-Key: {context.idempotency_key}" in request
    assert "Content-Type: application/json" in request
    assert request.endswith('{"a":1}')


async def test_a_get_has_no_idempotency_key_and_one_given_is_kept(
    kinds: Actions, context: Context, server: Server
) -> None:
    await send(kinds, context, url=server.url)
    await send(kinds, context, method="PUT", url=server.url, headers={"idempotency-key": "own"}, body="text")
    assert "dempotency-" not in server.requests[0]
    assert server.requests[1].lower().count("idempotency-key") == 1
    assert "own" in server.requests[1]
    assert server.requests[1].endswith("text")


async def test_the_answer(kinds: Actions, context: Context, server: Server) -> None:
    server.answer = answer("201 Created", b'{"n": [1]}', "Content-Type: application/json", "Set-Cookie: s=1")
    result = await send(kinds, context, url=server.url)
    assert result.pop("elapsedSeconds") >= 0
    assert result["headers"]["content-type"] == "application/json"
    assert "set-cookie" not in result.pop("headers")
    assert result == {"status": 201, "json": {"n": [1]}}


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_what_is_no_json_is_text(kinds: Actions, context: Context, server: Server, content_type: str) -> None:
    server.answer = answer("200 OK", b"\xc3\xa4{", f"Content-Type: {content_type}")
    assert (await send(kinds, context, url=server.url))["text"] == "ä{"


@pytest.mark.parametrize(
    "status, expected, failure",
    [
        ("404 Not Found", None, ("http_4xx", False)),
        ("408 Request Timeout", None, ("http_4xx", True)),
        ("429 Too Many Requests", None, ("http_429", True)),
        ("503 Service Unavailable", None, ("http_5xx", True)),
        ("302 Found", None, ("http_3xx", False)),
        ("200 OK", [201], ("http_2xx", False)),
    ],
)
async def test_a_status_that_is_not_expected(
    kinds: Actions, context: Context, server: Server, status: str, expected: Any, failure: Any
) -> None:
    server.answer = answer(status, b"why", "Retry-After: 7", "Location: /x")
    failed = await refused(kinds, context, url=f"{server.url}/p?q=secret", expectedStatuses=expected)
    assert (failed.error.type, failed.error.retryable) == failure
    assert failed.error.message == f"GET {server.url}/p answered {status}."
    assert failed.error.details == {"status": int(status[:3]), "body": "why"}
    assert failed.retry_after_seconds == 7


async def test_an_expected_status_is_no_failure(kinds: Actions, context: Context, server: Server) -> None:
    server.answer = answer("404 Not Found", b"")
    assert (await send(kinds, context, url=server.url, expectedStatuses=[200, 404]))["status"] == 404


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("12", 12.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


async def test_too_slow(kinds: Actions, context: Context, server: Server) -> None:
    server.is_silent = True
    failed = await refused(kinds, context, url=server.url, timeoutSeconds=0.05)
    assert (failed.error.type, failed.error.retryable) == ("timeout", True)


async def test_nobody_there(kinds: Actions, context: Context) -> None:
    failed = await refused(kinds, context, url="http://me:hunter22@127.0.0.1:1/x?key=hunter33")
    assert (failed.error.type, failed.error.retryable) == ("connection_error", True)
    assert "http://127.0.0.1:1/x could not be sent" in failed.error.message
    assert "hunter" not in failed.error.message


async def test_an_answer_that_is_too_large(kinds: Actions, context: Context, server: Server) -> None:
    server.answer = answer("200 OK", b"x" * 1001)
    failed = await refused(kinds, context, url=server.url, maxResponseBytes=1000)
    assert failed.error.type == "response_too_large"
    assert (await send(kinds, context, url=server.url, maxResponseBytes=1001))["status"] == 200


async def test_the_body_is_kept_as_a_file(kinds: Actions, context: Context, server: Server) -> None:
    server.answer = answer("200 OK", b"\x89PNG", "Content-Type: image/png")
    result = await send(kinds, context, url=server.url, saveAs="picture.png")
    assert context.attached == [(b"\x89PNG", "picture.png", "image/png")]
    assert (result["file"], result["status"]) == ({"name": "picture.png"}, 200)
    assert not {"text", "json"} & set(result)
    server.answer = answer("200 OK", b"", "Content-Type: what is this")
    await send(kinds, context, url=server.url, saveAs="a.csv")
    assert context.attached[1] == (b"", "a.csv", None), "the name tells its type"
    server.answer = answer("404 Not Found", b"gone")
    await refused(kinds, context, url=server.url, saveAs="a.csv")
    assert len(context.attached) == 2


async def test_secrets_that_the_server_echoes_are_blotted_out(kinds: Actions, context: Context, server: Server) -> None:
    server.answer = answer("500 Oops", b"you sent Bearer hunter22 and hunter33 and hunter44")
    url = server.url.replace("http://", "http://me:hunter33@")
    headers = {"Authorization": "Bearer hunter22"}
    failed = await refused(kinds, context, url=url, headers=headers, query={"key": "hunter44"})
    assert "hunter" not in repr(failed.error)
    assert "hunter" not in context.everything
    assert "***" in failed.error.details["body"]


async def test_cancel_ends_it_at_once(kinds: Actions, context: Context, server: Server) -> None:
    server.is_silent = True
    task = asyncio.create_task(send(kinds, context, url=server.url))
    await server.asked.wait()
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
