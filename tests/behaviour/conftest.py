"""Every behaviour is asked of every orchestrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.behaviour.worlds import OpenWorld, opener, settings_for
from tests.engine.conftest import Clock, World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["embedded", pytest.param("temporal", marks=pytest.mark.temporal)])
def open_world(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> OpenWorld:
    """Opens worlds over the test's one database file."""
    if request.param == "embedded":
        return opener(tmp_path, clock, None)
    return opener(tmp_path, clock, settings_for(request.getfixturevalue("temporal"), str(tmp_path)))


@pytest.fixture
async def world(open_world: OpenWorld) -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened
