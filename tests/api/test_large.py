"""A config of thousands of steps: the process answers others while it is parsed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vai.actions import registry
from vai.runs import Definitions

LARGE = {"steps": [{"key": f"s{i}", "kind": "wait", "definition": {"seconds": 0}} for i in range(3_000)]}


@pytest.mark.parametrize("asked", ["parse", "prepare"])
async def test_the_loop_goes_on_while_a_large_config_is_parsed(asked: str) -> None:
    definitions = Definitions(registry([]))
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "heard")
    await (definitions.parse(LARGE) if asked == "parse" else definitions.prepare("version", LARGE))
    assert others == ["heard"]


async def test_what_is_prepared_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = Definitions(registry([]))
    await definitions.prepare("version", LARGE)

    def again(*_: Any) -> None:
        raise AssertionError("it is parsed again")

    monkeypatch.setattr("vai.runs.definitions.parse", again)
    await definitions.prepare("version", LARGE)
    assert len(definitions.graph("version", LARGE).steps) == 3_000
