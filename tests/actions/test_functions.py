"""Users' functions as kinds: what they are called with, what becomes of their answers, how they stop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.actions.context import Context
from vai.ports import ActionFailed, Actions, ActionStopped, Branch, Sleep

Make = Callable[[str], Actions]

TEXT = '''
import asyncio, dataclasses, datetime, decimal, threading, time
import pydantic
from vai import Context, action
from vai.ports import Branch, Sleep

@dataclasses.dataclass
class Point:
    x: int
    at: datetime.datetime

class Model(pydantic.BaseModel):
    name: str

@action
async def nothing():
    pass

@action
def add(a: int, b: int = 2, *, json: list[str] | None = None) -> int:
    """Add two numbers.

    They are whole."""
    return a + b + len(json or [])

@action(name="renamed", title="Another title")
async def original(context: Context, text: str):
    """First line."""
    context.logger.warning("text is %s", text)
    context.progress(phase="telling", done=1)
    return {"key": context.idempotency_key}

@action
def returns(what: str):
    return {
        "point": Point(1, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
        "model": Model(name="m"),
        "set": {1},
        "keys": {1: "one"},
        "sleep": Sleep(5),
        "branch": Branch(1, ("a",)),
        "object": object(),
        "function": [print],
    }[what]

@action
def raises():
    raise KeyError("gone")

@action
async def sleeps(context: Context):
    context.progress(phase="in")
    try:
        await asyncio.Event().wait()
    finally:
        context.progress(phase="out")

@action(cooperative=True)
async def cooperates(context: Context):
    context.progress(phase="in")
    await context.wait_cancelled()
    return "stopped by itself"

@action
def looks(context: Context):
    stopped = threading.Event()
    context.on_cancel(stopped.set)
    context.progress(phase="in")
    stopped.wait(30)
    return context.cancelled

@action
def deaf(context: Context):
    done = threading.Event()
    context.progress(phase="in", done=done)
    done.wait(30)
'''


def is_in(fields: dict[str, Any]) -> bool:
    return fields.get("phase") == "in"


@pytest.fixture
def functions(actions_of: Make) -> Actions:
    return actions_of(TEXT)


async def run(functions: Actions, kind: str, definition: Any, context: Context) -> Any:
    action = functions.get(kind)
    assert action is not None
    return await action.run(definition, context)


@pytest.mark.parametrize(
    "kind, definition, result",
    [
        ("nothing", {}, None),
        ("nothing", None, None),
        ("add", {"a": 1}, 3),
        ("add", {"a": "5", "b": 1, "json": ["x"]}, 7),
        ("returns", {"what": "point"}, {"x": 1, "at": "2026-01-02T00:00:00Z"}),
        ("returns", {"what": "model"}, {"name": "m"}),
        ("returns", {"what": "set"}, [1]),
        ("returns", {"what": "keys"}, {"1": "one"}),
        ("returns", {"what": "sleep"}, Sleep(5)),
        ("returns", {"what": "branch"}, Branch(1, ("a",))),
    ],
)
async def test_what_it_returns_is_the_result(
    functions: Actions, context: Context, kind: str, definition: Any, result: Any
) -> None:
    assert await run(functions, kind, definition, context) == result


@pytest.mark.parametrize("what", ["object", "function"])
async def test_what_json_cannot_hold_is_refused(functions: Actions, context: Context, what: str) -> None:
    with pytest.raises(ActionFailed) as caught:
        await run(functions, "returns", {"what": what}, context)
    assert caught.value.error.type == "result_not_serialisable"


async def test_the_context_is_no_part_of_the_definition(functions: Actions, context: Context) -> None:
    action = functions.get("renamed")
    assert action is not None
    assert set(action.definition_schema["properties"]) == {"text"}
    assert await action.run({"text": "hi"}, context) == {"key": context.idempotency_key}
    assert context.logs == ["WARNING: text is hi"]
    assert context.told == [{"phase": "telling", "done": 1}]


def test_names_and_schema_come_from_the_function(functions: Actions) -> None:
    add, renamed = functions.get("add"), functions.get("renamed")
    assert add is not None
    assert renamed is not None
    assert functions.get("original") is None
    assert (add.title, renamed.title) == ("Add two numbers", "Another title")
    assert "They are whole." in add.description
    assert add.definition_schema["required"] == ["a"]
    assert add.definition_schema["properties"]["b"]["default"] == 2


@pytest.mark.parametrize(
    "definition, sentences",
    [
        ({}, ["a: is required"]),
        ({"a": "x"}, ["a: Input should be a valid integer"]),
        ({"a": 1, "bb": 1}, ["bb: unknown field; did you mean 'b'?"]),
        ({"jsn": [], "b": []}, ["a: is required", "b: Input should be", "jsn: unknown field"]),
    ],
)
async def test_a_definition_that_does_not_fit_fails_with_every_fault(
    functions: Actions, context: Context, definition: Any, sentences: list[str]
) -> None:
    with pytest.raises(ActionFailed) as caught:
        await run(functions, "add", definition, context)
    assert caught.value.error.type == "invalid_definition"
    for sentence in sentences:
        assert sentence in caught.value.error.message


async def test_its_exception_passes_through(functions: Actions, context: Context) -> None:
    with pytest.raises(KeyError):
        await run(functions, "raises", {}, context)


async def test_a_coroutine_is_cancelled_when_asked_to_stop(functions: Actions, context: Context) -> None:
    async def cancellations_left() -> int:
        with pytest.raises(ActionStopped):
            await run(functions, "sleeps", {}, context)
        current = asyncio.current_task()
        assert current is not None
        return current.cancelling()

    task = asyncio.create_task(cancellations_left())
    await context.until_told(is_in)
    context.cancel()
    assert await task == 0
    assert context.told[-1] == {"phase": "out"}


async def test_a_request_to_stop_that_comes_first_stops_it(functions: Actions, context: Context) -> None:
    context.cancel()
    with pytest.raises(ActionStopped):
        await run(functions, "sleeps", {}, context)


async def test_a_cancellation_from_elsewhere_stays_one(functions: Actions, context: Context) -> None:
    task = asyncio.create_task(run(functions, "sleeps", {}, context))
    await context.until_told(is_in)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_late_request_to_stop_does_not_touch_the_task(functions: Actions, context: Context) -> None:
    await run(functions, "nothing", {}, context)
    context.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("kind, result", [("cooperates", "stopped by itself"), ("looks", True)])
async def test_what_looks_at_its_context_ends_by_itself(
    functions: Actions, context: Context, kind: str, result: Any
) -> None:
    task = asyncio.create_task(run(functions, kind, {}, context))
    await context.until_told(is_in)
    context.cancel()
    assert await task == result


async def test_a_thread_that_does_not_stop_is_left_behind(functions: Actions, context: Context) -> None:
    task = asyncio.create_task(run(functions, "deaf", {}, context))
    await context.until_told(is_in)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    context.told[-1]["done"].set()
