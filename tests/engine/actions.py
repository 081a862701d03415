"""Actions for the engine's tests."""

import asyncio
import base64
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vai import Context, action
from vai.ports import ActionFailed


@action
async def noop() -> None:
    """Does nothing."""


@action
async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@action
async def tell(ledger: str, context: Context, seconds: float = 0.0) -> dict[str, str]:
    """Writes a line to a ledger outside the database when it begins, and works for a while."""
    with Path(ledger).open("a") as file:  # noqa: ASYNC230 - one short line, to be on disk before going on
        file.write(f"{context.run_id} {context.step_key} {context.attempt} {context.try_number}\n")
        file.flush()
        os.fsync(file.fileno())
    if seconds:
        await asyncio.sleep(seconds)
    return {"key": context.idempotency_key}


@action
async def until_stopped(context: Context) -> None:
    """Works until it is asked to stop."""
    context.logger.info("at work")
    await context.wait_cancelled()
    raise asyncio.CancelledError


@action
async def until_there(path: str, context: Context) -> None:
    """Works until the file is there, and leaves another beside it when it ends."""
    context.logger.info("at work")
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - whatever makes it is another process
        await asyncio.sleep(0.005)
    Path(f"{path}.done").touch()  # noqa: ASYNC240


@action
async def speak_when_there(path: str, context: Context) -> None:
    """Says a word, and another one when the file is there; works until it is stopped."""
    context.logger.info("at work")
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - nobody tells of a file
        await asyncio.sleep(0.005)
    context.logger.info("it is there")
    await context.wait_cancelled()
    raise asyncio.CancelledError


@action
async def stubborn() -> None:
    """Ignores every request to stop."""
    await asyncio.Event().wait()


@action
async def beyond_help() -> None:
    """Swallows its cancellation."""
    for _ in range(3):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)


@action
async def slow_to_end(path: str, context: Context) -> None:
    """Takes a while to end, and leaves a file when it has."""
    context.logger.info("at work")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.2)
        Path(path).touch()  # noqa: ASYNC240


@action
async def immortal() -> None:
    """Swallows every cancellation for two seconds."""
    ends = time.monotonic() + 2
    while time.monotonic() < ends:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)


@action
async def say(how: str, context: Context) -> None:
    """Says half a character, as the name of a file that is not UTF-8 reads."""
    name = os.fsdecode(b"caf\xe9")
    if how == "log":
        context.logger.info("%s", name)
    elif how == "progress":
        context.progress(file=name)
    elif how == "error":
        raise RuntimeError(name)
    elif how == "failed":
        raise ActionFailed(name, name, details={"file": name, "handle": object()})
    else:
        raise Unspeakable
    await asyncio.sleep(0.15)  # longer than lines are gathered


class Unspeakable(Exception):
    """Has no words."""

    def __str__(self) -> str:
        raise ValueError("no words")


@action
def in_a_thread(context: Context) -> str:
    """Works in a thread until it is asked to stop."""
    asked = threading.Event()
    context.on_cancel(asked.set)
    context.logger.info("at work")
    asked.wait(30)
    return "stopped by itself"


@action(process=True)
def in_a_process(path: str) -> str:
    """Works in a child process that takes no notice of anything."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)
    return "never"


@action
async def fail(message: str = "no luck", until_try: int = 1_000_000, context: Context = None) -> str:  # type: ignore[assignment]
    """Fails until its `until_try`-th try."""
    if context.try_number < until_try:
        raise RuntimeError(message)
    return "at last"


@action
async def fail_unless(path: str) -> str:
    """Fails until the file is there."""
    if not Path(path).exists():  # noqa: ASYNC240
        raise FileNotFoundError(f"{path} is not there")
    return "found"


@action
async def chatty(lines: int, context: Context) -> None:
    """Logs and tells its progress."""
    for number in range(lines):
        context.logger.info("line %d", number)
        context.progress(done=number + 1, total=lines)


@action
async def large(size: int) -> dict[str, str]:
    """Answers a result of that many characters."""
    return {"text": "x" * size}


@action
async def die() -> None:
    """Takes its whole process down."""
    os.kill(os.getpid(), 9)


@action
async def odd(path: str, fail: bool) -> None:
    """Fails when it is told to, until there is a file `mended`."""
    if fail and not (Path(path) / "mended").exists():
        raise ValueError("not mended")


@action
async def listed(path: str) -> dict[str, list[str]]:
    """The words of a file."""
    return {"names": Path(path).read_text().split()}  # noqa: ASYNC240


@action
async def long_text(length: int) -> str:
    """A text of this length."""
    return "x" * length


@action
async def until_file(path: str, context: Context) -> None:
    """Works until there is a file, or it is asked to stop."""
    while not Path(path).exists() and not context.cancelled:  # noqa: ASYNC240, ASYNC110 - nobody tells of a file
        await asyncio.sleep(0.01)


def _leak(context: Context, ref: str) -> dict[str, str]:
    secret = str(context.connection(ref).credentials["token"])
    context.logger.warning("it is %s", secret)
    context.progress(secret=f"<{secret}>")
    print(f"printed {secret}", flush=True)
    return {"coded": base64.b64encode(secret.encode()).decode(), "length": str(len(secret))}


@action(process=True)
def leak_there(context: Context, connection_ref: str) -> dict[str, str]:
    """Says a secret in every way, in a child process."""
    return _leak(context, connection_ref)


@action(process=True)
def fail_with_it(context: Context, connection_ref: str) -> None:
    """Fails with a secret in its error."""
    raise ActionFailed("refused", f"no: {context.connection(connection_ref).credentials['token']}", details={"a": [1]})


@action
def attach(context: Context, name: str, text: str = "", path: str | None = None) -> dict[str, Any]:
    """Attaches a text, or a file."""
    return context.attach(text.encode() if path is None else path, name=name)


@action(process=True)
def attach_in_a_process(context: Context, folder: str) -> list[dict[str, Any]]:
    """Attaches bytes, and a file that its threads have written, from threads of a child process."""
    path = Path(folder, "threads.txt")
    path.write_text("from a file")
    with ThreadPoolExecutor(4) as pool:
        many = [pool.submit(context.attach, path, name=f"{n}.txt") for n in range(4)]
        return [context.attach(b"from bytes", name="a.bin"), *[one.result() for one in many]]


@action
async def attach_async(context: Context) -> dict[str, Any]:
    """Attaches from the loop's thread, which is refused, and then from another."""
    with contextlib.suppress(RuntimeError):
        context.attach(b"x", name="x")
        raise AssertionError("it would have blocked the loop")
    return await asyncio.to_thread(context.attach, b"async", name="Bericht für Mai.csv")


@action
def attach_and_fail(context: Context) -> None:
    """Attaches a file by its number and one by one name, and fails in its first two tries."""
    context.attach(f"try {context.try_number}".encode(), name="log.txt")
    context.attach(b"once", name=f"{context.try_number}.txt")
    if context.try_number < 3:
        raise ValueError("not yet")


@action
async def rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers the rows that it is given."""
    return rows
