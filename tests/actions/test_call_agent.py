"""`call_agent` with a real server on loopback that speaks the chat-completions protocol."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.actions.chat_server import ChatServer, calls, chatting, said
from tests.actions.context import Context
from tests.actions.processes import wait_gone
from tests.actions.receiver import Answer, receiving
from vai.execution import ConnectedActions
from vai.ports import ActionFailed, Actions, ActionStopped, Connection, Ref

pytestmark = pytest.mark.process
FINAL = "final_result"  # what the model calls with its answer, when that has a schema
KEY, TOKEN = "sk-s3cret-8842", "t0ken-4711-crm"
OUTPUT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "number", "maximum": 60}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}
USER = """
import os
import time
import vai
from vai.ports import ActionFailed

@vai.action
def weather(city: str, unit: str, context: vai.Context) -> dict[str, object]:
    if city == "Atlantis":
        raise ActionFailed("not_found", "There is no such city.")
    context.progress(looked=city)
    return {"city": city, "unit": unit, "key": context.idempotency_key}

@vai.action(process=True)
def stuck(context: vai.Context) -> None:
    context.progress(pid=os.getpid())
    time.sleep(600)
"""
WEATHER = {
    "name": "look_up",
    "description": "The weather of a city",
    "kind": "weather",
    "definition": {"unit": "C"},
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Connections:
    """Finds the connections of a test."""

    def __init__(self, *connections: Connection) -> None:
        self._connections = connections

    async def resolve(self, _tenant_id: str, ref: Ref) -> Connection:
        return next(connection for connection in self._connections if connection.slug == ref)


async def ask(kinds: Actions, context: Context, server: ChatServer, **more: Any) -> Any:
    """As a step does it: with its connections found, and blotted out of what it says."""
    model = Connection("c-1", "model", "openai", {"baseUrl": server.address}, {"apiKey": KEY})
    crm = Connection("c-2", "crm", "bearer", {}, {"token": TOKEN})
    action = ConnectedActions(kinds, Connections(model, crm)).get("call_agent")
    assert action is not None
    definition = {"connectionRef": "model", "model": "test-model", "prompt": "How warm is it?", **more}
    return await action.run(definition, context)


async def refused(kinds: Actions, context: Context, server: ChatServer, **more: Any) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        await ask(kinds, context, server, **more)
    assert KEY not in repr(caught.value.error) + context.everything
    return caught.value


def told(server: ChatServer, number: int) -> list[str]:
    """What the tools answered, as the model was told it with its request of this number."""
    return [message["content"] for message in server.asked[number]["messages"] if message["role"] == "tool"]


async def test_an_answer_in_words(kinds: Actions, context: Context) -> None:
    with chatting(said("Warm.")) as server:
        result = await ask(kinds, context, server, instructions="Be brief.", temperature=0)
        (asked,) = server.asked
        assert server.receiver.requests[0].headers["authorization"] == f"Bearer {KEY}"
    usage = {"inputTokens": 10, "outputTokens": 5}
    assert result == {"output": "Warm.", "turns": 1, "toolCalls": [], "usage": usage}
    assert (asked["model"], asked["temperature"]) == ("test-model", 0)
    words = [(message["role"], message["content"]) for message in asked["messages"]]
    assert words == [("system", "Be brief."), ("user", "How warm is it?")]
    assert context.told == [{"phase": "asking", "turn": 1}, {"phase": "answered", "turn": 1, "tokens": 15}]
    assert context.logs == ["INFO: Turn 1: the model answered (15 tokens so far)."]


async def test_an_answer_as_an_object_is_mended_until_it_fits(kinds: Actions, context: Context) -> None:
    good = {"city": "Rome", "celsius": 21.5}
    answers = (FINAL, '{"city": "Rome", '), (FINAL, {**good, "celsius": 999}), (FINAL, good)
    with chatting(*(calls(answer) for answer in answers)) as server:
        result = await ask(kinds, context, server, output=OUTPUT)
        assert (result["output"], result["turns"]) == (good, 3)
        assert "$.celsius: 999 is greater than the maximum of 60" in told(server, 2)[-1]
    bad = [calls((FINAL, {"city": 1})) for _ in range(9)]
    with chatting(*bad) as server:
        error = (await refused(kinds, context, server, output=OUTPUT)).error
        assert (error.type, error.retryable) == ("bad_answer", True)
        assert error.details["turns"] == len(server.asked) < 9


async def test_a_tool_is_another_kind(actions_of: Callable[[str], Actions], context: Context) -> None:
    script = calls(("look_up", {"city": "Rome", "unit": "F"})), calls(("look_up", {"city": "Rome", "unit": "F"}))
    with chatting(*script, calls(("look_up", {"city": "Atlantis"})), calls(("look_up", {})), said("Warm.")) as server:
        result = await ask(actions_of(USER), context, server, tools=[WEATHER])
        answers = told(server, 4)
        (offered,) = server.asked[0]["tools"]
    assert offered["function"]["name"] == "look_up"
    assert offered["function"]["parameters"]["required"] == ["city"]
    assert '"unit":"C"' in answers[0]  # fixed, whatever the model says
    assert f'"key":"{context.idempotency_key}:' in answers[0]
    assert answers[0] != answers[1]  # twice the same call has two keys
    assert answers[2] == '{"error":{"type":"not_found","message":"There is no such city."}}'
    assert "'city' is a required property" in answers[3]
    assert [(call["status"], call.get("error")) for call in result["toolCalls"]] == [
        ("completed", None),
        ("completed", None),
        ("failed", "not_found"),
        ("failed", "invalid_arguments"),
    ]
    assert {"looked": "Rome", "tool": "look_up"} in context.told
    assert any(line.startswith("INFO: The tool look_up failed with not_found") for line in context.logs)


async def test_a_tool_that_hangs_is_ended_and_the_model_told(
    actions_of: Callable[[str], Actions], context: Context
) -> None:
    tool = {"name": "stuck", "kind": "stuck", "timeoutSeconds": 0.2}
    with chatting(calls(("stuck", {})), said("It hung.")) as server:
        result = await ask(actions_of(USER), context, server, tools=[tool])
        assert told(server, 1) == ['{"error":{"type":"timeout","message":"It took longer than 0.2 seconds."}}']
    assert result["output"] == "It hung."


async def test_cancel_ends_the_tool_too(actions_of: Callable[[str], Actions], context: Context) -> None:
    tool = {"name": "stuck", "kind": "stuck", "timeoutSeconds": 600}
    with chatting(calls(("stuck", {}))) as server:
        task = asyncio.create_task(ask(actions_of(USER), context, server, tools=[tool]))
        await context.until_told(lambda fields: "pid" in fields)
        context.cancel()
        with pytest.raises(ActionStopped):
            await task
    assert wait_gone(next(fields["pid"] for fields in context.told if "pid" in fields))


async def test_a_tool_signs_in_and_the_model_does_not_see_with_what(kinds: Actions, context: Context) -> None:
    with receiving() as crm:
        crm.answer = lambda request: Answer(body=b'{"you": "%s"}' % request.headers["authorization"].encode())
        tool = {
            "name": "customer",
            "kind": "http_request",
            "definition": {"connectionRef": "crm", "url": f"http://127.0.0.1:{crm.port}/who"},
        }
        with chatting(calls(("customer", {})), said("Ada.")) as server:
            await ask(kinds, context, server, tools=[tool])
            assert '"you":"Bearer ***"' in told(server, 1)[0]
            assert TOKEN.encode() not in b"".join(request.body for request in server.receiver.requests)
        assert crm.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in context.everything


async def test_limits_end_it(actions_of: Callable[[str], Actions], context: Context) -> None:
    kinds = actions_of(USER)
    look = calls(("look_up", {"city": "Rome"}))
    with chatting(look, look, look) as server:
        error = (await refused(kinds, context, server, tools=[WEATHER], maxTurns=2)).error
        assert (error.type, error.retryable, len(server.asked)) == ("limit_reached", False, 2)
        assert error.details["usage"] == {"inputTokens": 20, "outputTokens": 10}
    with chatting(look, look, look) as server:
        assert (await refused(kinds, context, server, tools=[WEATHER], maxTokens=20)).error.type == "limit_reached"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "answer, error_type, retryable, seconds",
    [
        (Answer(429, headers={"Retry-After": "7"}), "http_429", True, 7),
        (Answer(500, body=b'{"error": {"message": "no"}}'), "http_5xx", True, None),
        (Answer(401, body=b'{"error": {"message": "bad key %s"}}' % KEY.encode()), "http_4xx", False, None),
        (Answer(307, headers={"Location": "http://127.0.0.1:1/"}), "bad_answer", True, None),
        (Answer(body=b"<html>"), "bad_answer", True, None),
    ],
)
async def test_a_server_that_refuses(
    kinds: Actions, context: Context, answer: Answer, error_type: str, retryable: bool, seconds: float | None
) -> None:
    with chatting(answer) as server:
        failure = await refused(kinds, context, server)
        assert (failure.error.type, failure.error.retryable) == (error_type, retryable)
        assert failure.retry_after_seconds == seconds
        assert len(server.asked) == 1  # trying again is the step's affair


async def test_a_server_that_is_silent_or_gone(kinds: Actions, context: Context) -> None:
    with receiving() as receiver:
        server = ChatServer(receiver, [receiver.hang])
        assert (await refused(kinds, context, server, requestTimeoutSeconds=0.2)).error.type == "timeout"
    error = (await refused(kinds, context, server)).error
    assert (error.type, error.retryable) == ("connection_error", True)


async def test_cancel_ends_a_request_that_hangs(kinds: Actions) -> None:
    context = Context(grace_seconds=300)  # so that being killed is no way out
    with receiving() as receiver:
        task = asyncio.create_task(ask(kinds, context, ChatServer(receiver, [receiver.hang])))
        assert await asyncio.to_thread(receiver.arrived.wait, 60)
        context.cancel()
        with pytest.raises(ActionStopped):
            await task


@pytest.mark.parametrize(
    "more, loc, text",
    [
        ({"prompt": ""}, ("prompt",), "at least 1 character"),
        ({"output": {"type": "string"}}, ("output",), "type object"),
        ({"tools": [{"name": "a", "kind": "approval_gate"}]}, ("tools", 0, "kind"), "asks people"),
        ({"tools": [{"name": "a", "kind": "nothing"}]}, ("tools", 0, "kind"), "there is no kind 'nothing'"),
        ({"tools": [{"name": "a b", "kind": "weather", "definition": {"city": "x", "unit": "C"}}]}, (), ""),
        ({"tools": [{**WEATHER, "definition": {}}]}, ("tools", 0, "definition", "unit"), "is required"),
        ({"tools": [{**WEATHER, "definition": {"unit": "C", "city": "x"}}]}, ("tools", 0, "definition", "city"), "too"),
        ({"tools": [WEATHER, WEATHER]}, ("tools", 1, "name"), "another tool"),
        ({"tools": [{**WEATHER, "name": FINAL}]}, ("tools", 0, "name"), "answer"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_stored(
    actions_of: Callable[[str], Actions], more: Any, loc: Any, text: str
) -> None:
    action = actions_of(USER).get("call_agent")
    assert action is not None
    good = {"connectionRef": "model", "model": "{{ input.model }}", "prompt": "{{ input.text }}", "tools": [WEATHER]}
    assert action.check(good) == ()
    (fault,) = action.check(good | more)
    assert fault.loc == (loc or ("tools", 0, "name"))
    assert text in fault.msg
