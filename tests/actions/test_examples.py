"""The examples of single kinds, run as their first lines say."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.actions.receiver import Answer, receiving

pytestmark = pytest.mark.process
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "kinds"


async def vai_run(example: str, folder: Path, given: Any, **settings: str) -> str:
    """What `vai run` prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).parent / "vai", "run", EXAMPLES / example, "--input", msgspec.json.encode(given)),
        cwd=folder,
        env={**os.environ, "VAI_DATA_DIR": str(folder / ".vai"), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_notify(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.answer = lambda request: Answer()
        place = f"127.0.0.1:{receiver.port}"
        await vai_run("notify.yaml", tmp_path, {"check": f"http://{place}/health", "url": f"json://{place}/hook"})
        check, told = receiver.requests
    assert (check.path, told.path) == ("/health", "/hook")
    assert msgspec.json.decode(told.body)["title"] == "The check: completed"
    assert msgspec.json.decode(told.body)["type"] == "success"
