"""A system of its own for each test: what it counts is known."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.site import Organization, Site, serving


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The whole system on a loopback port."""
    async with serving(tmp_path / "data") as found:
        yield found


@pytest.fixture
async def us(site: Site) -> AsyncIterator[Organization]:
    """An organization."""
    async with site.organization() as organization:
        yield organization
