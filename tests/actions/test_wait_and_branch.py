"""`wait` and `conditional_branch`: pure answers."""

from typing import Any

import pytest

from tests.actions.context import Context
from vai.actions.wait import Wait
from vai.ports import Actions, Branch, Sleep

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    "definition, until, text",
    [
        ({"seconds": 0}, NOW, "2026-01-01T00:00:00.000Z"),
        ({"seconds": 1.5}, NOW + 1500, "2026-01-01T00:00:01.500Z"),
        ({"duration": "90s"}, NOW + 90_000, "2026-01-01T00:01:30.000Z"),
        ({"duration": "1h30m"}, NOW + 5_400_000, "2026-01-01T01:30:00.000Z"),
        ({"duration": "2d"}, NOW + 172_800_000, "2026-01-03T00:00:00.000Z"),
        ({"until": "2026-01-01T02:00:00+01:00"}, NOW + 3_600_000, "2026-01-01T01:00:00.000Z"),
        ({"until": "2025-12-31T23:59:59Z"}, NOW - 1000, "2025-12-31T23:59:59.000Z"),
    ],
)
async def test_wait_sleeps_until(context: Context, definition: Any, until: int, text: str) -> None:
    assert await Wait(lambda: NOW).run(definition, context) == Sleep(until, {"until": text})


@pytest.mark.parametrize(
    "matched, case, taken, skips",
    [
        ([True, True], "first", ["a", "shared"], ("b", "c")),
        ([False, True], "case 2", ["b", "shared"], ("a", "c")),
        ([False, False], None, ["c"], ("a", "shared", "b")),
    ],
)
async def test_branch_takes_the_first_case_that_matched(
    kinds: Actions, context: Context, matched: list[bool], case: str | None, taken: list[str], skips: Any
) -> None:
    branch = kinds.get("conditional_branch")
    assert branch is not None
    definition = {
        "cases": [
            {"name": "first", "matched": matched[0], "steps": ["a", "shared"]},
            {"matched": matched[1], "steps": ["b", "shared"]},
        ],
        "default": ["c"],
    }
    assert await branch.run(definition, context) == Branch({"case": case, "steps": taken}, skips)
