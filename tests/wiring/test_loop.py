"""The event loop of a process ends when its work is done, whatever is still at it."""

import asyncio
import subprocess
import sys

import pytest

from vai.wiring import loop

PROGRAM = """
import asyncio, threading
from vai.actions.threads import Threads
from vai.wiring.loop import run

async def main():
    inside = threading.Event()
    task = asyncio.create_task(Threads(1).run(lambda: (inside.set(), threading.Event().wait())))
    while not inside.is_set():
        await asyncio.sleep(0)
    task.cancel()
    return "done"

print(run(main()))
"""


def test_a_task_that_swallows_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_LAST_SECONDS", 0.01)
    is_asked, is_over = False, False

    async def deaf() -> None:
        nonlocal is_asked
        while not is_over:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                is_asked = True

    async def main() -> tuple[str, asyncio.Task[None]]:
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        return "done", task

    answer, task = loop.run(main())
    assert answer == "done"
    assert is_asked
    is_over = True
    task.get_coro().close()  # type: ignore[union-attr]


async def _fail() -> None:
    raise LookupError


def test_what_the_work_raises_comes_out() -> None:
    with pytest.raises(LookupError):
        loop.run(_fail())


@pytest.mark.process
def test_a_function_that_never_comes_back_does_not_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "done\n"
