"""`notify` with real receivers on loopback: HTTP and SMTP."""

import asyncio
import email
import email.policy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP

from tests.actions.context import Context
from tests.actions.receiver import Answer, Receiver, receiving
from vai.ports import ActionFailed, Actions, ActionStopped, Connection

pytestmark = pytest.mark.process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


async def notify(kinds: Actions, context: Context, **definition: Any) -> Any:
    action = kinds.get("notify")
    assert action is not None
    return await action.run(definition, context)


async def refused(kinds: Actions, context: Context, **definition: Any) -> Any:
    with pytest.raises(ActionFailed) as caught:
        await notify(kinds, context, **definition)
    return caught.value.error


async def test_a_message_reaches_every_target(kinds: Actions, context: Context, receiver: Receiver) -> None:
    place = f"127.0.0.1:{receiver.port}"
    result = await notify(
        kinds,
        context,
        title="Nightly",
        body="12 rows & <more>",
        type="warning",
        urls=[f"json://{place}/a", f"xml://{place}/b", {"url": f"form://{place}/c", "name": "the form"}],
    )
    assert result == {
        "sent": 3,
        "targets": [
            {"target": f"json://{place}", "sent": True},
            {"target": f"xml://{place}", "sent": True},
            {"target": "the form", "sent": True},
        ],
    }
    assert context.told[-1] == {"phase": "sending", "done": 3, "total": 3}
    json, xml, form = receiver.requests
    body = msgspec.json.decode(json.body)
    assert (json.path, body["title"], body["message"], body["type"]) == ("/a", "Nightly", "12 rows & <more>", "warning")
    assert xml.path == "/b"
    assert b"12 rows &amp; &lt;more&gt;" in xml.body
    assert b"Nightly" in form.body


async def test_only_the_targets_with_the_tag(kinds: Actions, context: Context, receiver: Receiver) -> None:
    base = f"json://127.0.0.1:{receiver.port}"
    urls = [f"{base}/none", {"url": f"{base}/night", "tags": ["night", "all"]}, {"url": f"{base}/day", "tags": ["day"]}]
    assert (await notify(kinds, context, body="x", urls=urls, tag="night"))["sent"] == 1
    assert [request.path for request in receiver.requests] == ["/night"]
    error = await refused(kinds, context, body="x", urls=urls, tag="dawn")
    assert (error.type, error.message) == ("no_target", "None of the targets has the tag 'dawn'.")


async def test_a_target_that_refuses_fails_the_step_and_the_others_are_reached(
    kinds: Actions, context: Context, receiver: Receiver
) -> None:
    receiver.answer = lambda request: Answer(status=500 if request.path.startswith("/bad") else 200)
    place = f"127.0.0.1:{receiver.port}"
    bad = f"json://somebody:pass-7731@{place}/bad/T0ken4711?+X-Key=K3y-0815-long"
    error = await refused(kinds, context, body="x", urls=[bad, f"json://{place}/good"])
    assert (error.type, error.retryable) == ("notify_failed", True)
    assert error.message.startswith(f"1 of 2 targets were not reached: json://{place}: ")
    assert "error=500" in error.message
    assert error.details["sent"] == 1
    assert [target["sent"] for target in error.details["targets"]] == [False, True]
    assert [request.path.split("/")[1] for request in receiver.requests] == ["bad", "good"]
    assert receiver.requests[0].headers["x-key"] == "K3y-0815-long"
    told = repr(error) + context.everything
    for secret in ("pass-7731", "T0ken4711", "K3y-0815-long", "somebody"):
        assert secret not in told


async def test_nobody_listens(kinds: Actions, context: Context) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    error = await refused(kinds, context, body="x", urls=[f"json://127.0.0.1:{port}"])
    assert (error.type, error.retryable) == ("notify_failed", True)


async def test_an_address_that_cannot_be_read_is_told_before_anything_is_sent(
    kinds: Actions, context: Context, receiver: Receiver
) -> None:
    urls = [f"json://127.0.0.1:{receiver.port}", "nowhere://s3cret-Place/x"]
    error = await refused(kinds, context, body="x", urls=urls)
    assert (error.type, error.retryable) == ("invalid_target", False)
    assert "nowhere://…" in error.message
    assert "urls[1]" in error.message
    assert "s3cret-Place" not in repr(error) + context.everything
    assert receiver.requests == []


class Mailbox:
    """Keeps the messages that come in."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


async def test_a_mail_arrives(kinds: Actions, context: Context) -> None:
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        url = f"mailto://127.0.0.1:{port}?from=vai@example.com&to=ada@example.com&mode=insecure"
        result = await notify(kinds, context, title="Grüße", body="<b>done</b>", urls=[url], format="html")
    assert result["sent"] == 1
    (message,) = mailbox.messages
    assert (message["Subject"], message["To"]) == ("Grüße", "ada@example.com")
    assert "<b>done</b>" in message.get_body(("html",)).get_content()


async def test_cancel_ends_a_request_that_hangs(kinds: Actions, receiver: Receiver) -> None:
    receiver.answer = receiver.hang
    context = Context(grace_seconds=300)  # so that being killed is no way out
    url = f"json://127.0.0.1:{receiver.port}?rto=60"
    task = asyncio.create_task(notify(kinds, context, body="x", urls=[url]))
    assert await asyncio.to_thread(receiver.arrived.wait, 60)
    context.cancel()
    with pytest.raises(ActionStopped):
        await task


@pytest.mark.parametrize(
    "definition, faults",
    [
        ({"body": "x", "urls": ["{{ input.url }}"], "tag": "{{ input.tag }}"}, []),
        ({"urls": ["json://x"]}, [(("body",), "is required")]),
        ({"body": "x", "urls": []}, [(("urls",), "List should have at least 1 item after validation, not 0")]),
        ({"body": "x", "urls": ["ada"]}, [(("urls", 0), "must be an address such as mailto://… or slack://…")]),
        ({"body": "x", "urls": [{"url": "json://x", "tag": "a"}]}, [(("urls", 0, "tag"), "did you mean 'tags'")]),
    ],
)
def test_what_is_wrong_is_told_when_it_is_stored(kinds: Actions, definition: Any, faults: Any) -> None:
    action = kinds.get("notify")
    assert action is not None
    found = action.check(definition)
    assert [fault.loc for fault in found] == [loc for loc, _ in faults]
    assert all(text in fault.msg for fault, (_, text) in zip(found, faults, strict=True))


async def test_a_connection_may_hold_the_address(kinds: Actions, receiver: Receiver) -> None:
    secret = "t0ken-of-the-chat"
    place = Connection("id", "chat", "apprise", {}, {"url": f"json://127.0.0.1:{receiver.port}/{secret}"})
    context = Context(connections=[("chat", place)])
    targets = [{"connectionRef": "chat"}, {"connectionRef": "chat", "name": "the chat", "tags": ["night"]}]
    result = await notify(kinds, context, body="done", urls=targets)
    assert [target["target"] for target in result["targets"]] == ["chat", "the chat"]
    assert [request.path for request in receiver.requests] == [f"/{secret}"] * 2
    assert secret not in str(result) + str(context.told)


@pytest.mark.parametrize("credentials", [{}, {"url": "nowhere"}, {"token": "x"}])
async def test_a_connection_without_an_address(kinds: Actions, credentials: dict[str, Any]) -> None:
    context = Context(connections=[("chat", Connection("id", "chat", "apprise", {}, credentials))])
    error = await refused(kinds, context, body="done", urls=[{"connectionRef": "chat"}])
    assert (error.type, "chat" in error.message) == ("invalid_connection", True)
