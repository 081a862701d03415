"""Actions in child processes: real processes, real signals."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from tests.actions.context import Context
from tests.actions.processes import is_alive, wait_gone, was_reaped
from vai.actions import registry
from vai.actions.process import Processes, Work, process_request
from vai.ports import Action, ActionFailed, Actions, ActionStopped, Branch, Sleep

Make = Callable[[str], Actions]
pytestmark = pytest.mark.process

TEXT = """
import asyncio, os, signal, subprocess, sys, time, logging
from vai import Context, action
from vai.ports import ActionFailed, Branch, Sleep

@action(process=True)
def says(context: Context, text: str):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    context.logger.info("to the logger")
    context.progress(phase="telling", done=1)
    sys.stdout.flush()
    return {"text": text, "pid": os.getpid(), "key": context.idempotency_key, "large": "x" * 500_000}

@action(process=True)
async def answers(form: str):
    return {"sleep": Sleep(5, "r"), "branch": Branch("r", ("a",)), "none": None}[form]

@action(process=True)
def fails(how: str):
    if how == "said":
        raise ActionFailed("mine", "It broke.", retryable=True, details={"n": 1}, retry_after_seconds=2.5)
    if how == "raised":
        raise ValueError("wrong, password=hunter22")
    if how == "segfault":
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "exit":
        os._exit(7)

@action(process=True)
def sleeps(context: Context):
    context.progress(phase="starting", pid=os.getpid())
    try:
        context.progress(phase="in", pid=os.getpid())
        time.sleep(60)
    finally:
        context.progress(phase="out")

@action(process=True)
async def sleeps_async(context: Context):
    try:
        context.progress(phase="in", pid=os.getpid())
        await asyncio.Event().wait()
    finally:
        context.progress(phase="out")

@action(process=True, cooperative=True)
def cooperates(context: Context):
    context.progress(phase="in", pid=os.getpid())
    while not context.cancelled:
        time.sleep(0.01)
    return "stopped by itself"

@action(process=True, cooperative=True, grace_seconds=0.3)
def stubborn(context: Context):
    child = subprocess.Popen(["sleep", "60"])
    context.progress(phase="in", pid=os.getpid(), child=child.pid)
    while True:
        time.sleep(1)

@action(process=True, cooperative=True)
def leaves(context: Context):
    child = subprocess.Popen(["sleep", "60"])
    return child.pid
"""


def is_in(fields: dict[str, Any]) -> bool:
    return fields.get("phase") == "in"


@pytest.fixture
def functions(actions_of: Make) -> Actions:
    return actions_of(TEXT)


def get(functions: Actions, kind: str) -> Action:
    action = functions.get(kind)
    assert action is not None
    return action


async def started(action: Action, context: Context) -> tuple[asyncio.Task[Any], dict[str, Any]]:
    """Its task, and what it told when it was under way."""
    task = asyncio.ensure_future(action.run({}, context))
    await context.until_told(is_in)
    return task, context.told[-1]


async def test_all_that_it_says_arrives(functions: Actions, context: Context) -> None:
    result = await get(functions, "says").run({"text": "ä"}, context)
    assert result["text"] == "ä"
    assert result["key"] == context.idempotency_key
    assert len(result["large"]) == 500_000
    assert result["pid"] != os.getpid()
    assert was_reaped(result["pid"])
    assert sorted(context.logs) == ["INFO: to stdout", "INFO: to the logger", "WARNING: to stderr"]
    assert context.told == [{"phase": "telling", "done": 1}]


@pytest.mark.parametrize("form, answer", [("sleep", Sleep(5, "r")), ("branch", Branch("r", ("a",))), ("none", None)])
async def test_every_form_of_answer(functions: Actions, context: Context, form: str, answer: Any) -> None:
    assert await get(functions, "answers").run({"form": form}, context) == answer


@pytest.mark.parametrize(
    "how, error_type, words, retryable",
    [
        ("said", "mine", ["It broke."], True),
        ("raised", "ValueError", ["wrong, password=***"], False),
        ("segfault", "process_died", ["SIGSEGV"], True),
        ("exit", "process_died", ["exit code 7"], True),
    ],
)
async def test_how_it_failed(
    functions: Actions, context: Context, how: str, error_type: str, words: list[str], retryable: bool
) -> None:
    with pytest.raises(ActionFailed) as caught:
        await get(functions, "fails").run({"how": how}, context)
    error = caught.value.error
    assert (error.type, error.retryable) == (error_type, retryable)
    assert all(word in error.message for word in words)
    assert "hunter22" not in context.everything
    if how == "said":
        assert (error.details, caught.value.retry_after_seconds) == ({"n": 1}, 2.5)
    if how == "segfault":
        assert error.details["lastLines"][0] == "last words"


@pytest.mark.parametrize("kind", ["sleeps", "sleeps_async"])
async def test_cancel_ends_it_and_lets_it_clean_up(functions: Actions, context: Context, kind: str) -> None:
    task, told = await started(get(functions, kind), context)
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
    assert was_reaped(told["pid"])
    assert context.told[-1] == {"phase": "out"}


async def test_one_that_cooperates_answers(functions: Actions, context: Context) -> None:
    task, _ = await started(get(functions, "cooperates"), context)
    context.cancel()
    assert await task == "stopped by itself"


async def test_one_that_ignores_the_request_is_killed_with_all_it_started(functions: Actions, context: Context) -> None:
    task, told = await started(get(functions, "stubborn"), context)
    began = time.monotonic()
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
    assert 0.3 <= time.monotonic() - began < 3
    assert was_reaped(told["pid"])
    assert not is_alive(told["child"])


@pytest.mark.parametrize("kind", ["sleeps", "stubborn"])
async def test_an_asyncio_cancellation_kills_at_once(functions: Actions, context: Context, kind: str) -> None:
    task, told = await started(get(functions, kind), context)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert was_reaped(told["pid"])
    assert not is_alive(told.get("child", told["pid"]))


async def test_what_it_leaves_running_does_not_outlive_it(functions: Actions, context: Context) -> None:
    pid = await get(functions, "leaves").run({}, context)
    assert wait_gone(pid)


async def test_a_request_to_stop_that_comes_first(functions: Actions, context: Context) -> None:
    context.cancel()
    with pytest.raises(ActionStopped):
        await get(functions, "sleeps").run({}, context)


async def test_only_so_many_at_once(tmp_path: Path, context: Context) -> None:
    (tmp_path / "actions.py").write_text(TEXT)
    action = get(registry([str(tmp_path / "actions.py")], data_dir=tmp_path, max_processes=1), "sleeps")
    first, _ = await started(action, context)
    other = Context()
    second = asyncio.ensure_future(action.run({}, other))
    await other.until_told(lambda fields: fields["phase"] == "queued")
    third_context = Context()
    third = asyncio.ensure_future(action.run({}, third_context))
    await third_context.until_told(lambda fields: fields["phase"] == "queued")
    other.cancel()  # while it waits for its turn
    with pytest.raises(ActionStopped):
        await second
    context.cancel()
    with pytest.raises(ActionStopped):
        await first
    await third_context.until_told(is_in)
    assert not any(is_in(fields) for fields in other.told)
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third


def test_it_works_on_uvloop(functions: Actions) -> None:
    async def main() -> None:
        context = Context()
        assert (await get(functions, "says").run({"text": "a"}, context))["text"] == "a"
        task, told = await started(get(functions, "stubborn"), context)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert was_reaped(told["pid"])

    uvloop.run(main())


async def test_secrets_are_blotted_out_of_all_that_it_says(context: Context) -> None:
    work = Work("builtins:print", 'a hunter"22 b', frozenset({'hunter"22'}))
    await Processes().run(work, context)
    assert context.logs[0].startswith("INFO: a *** b")


def test_it_ends_when_its_line_to_the_parent_is_cut(context: Context) -> None:
    """The parent lives on, so that nothing but the line can tell it."""
    reading, writing = os.pipe()
    request = process_request(Work("time:sleep", 60), context, 1)
    code = "import runpy, sys, time; sleep = time.sleep; time.sleep = lambda d, c: sleep(d);"
    code += f"sys.argv = ['child', '{writing}']; runpy.run_module('vai.actions.child', run_name='__main__')"
    arguments = [sys.executable, "-c", code]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=(writing,), start_new_session=True)
    os.close(writing)
    assert child.stdin is not None
    child.stdin.write(msgspec.json.encode(request) + b"\n")
    child.stdin.close()
    assert child.wait(20) == -signal.SIGKILL
    os.close(reading)


PARENT = """
import asyncio, sys
from tests.actions.context import Context
from vai.actions import registry

class Telling(Context):
    def progress(self, **fields):
        print(fields["pid"], fields.get("child", ""), flush=True)

asyncio.run(registry([sys.argv[1]]).get(sys.argv[2]).run({}, Telling()))
"""


@pytest.mark.parametrize("kind", ["stubborn", "sleeps_async"])
def test_it_dies_with_its_parent(tmp_path: Path, kind: str) -> None:
    (tmp_path / "actions.py").write_text(TEXT)
    arguments = [sys.executable, "-c", PARENT, str(tmp_path / "actions.py"), kind]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline().split()[0])
        assert is_alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_gone(pid)
