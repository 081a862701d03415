"""One system for the tests of a module; each test has an organization of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.site import Organization, Site, serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The whole system on a loopback port."""
    async with serving(tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def us(site: Site) -> AsyncIterator[Organization]:
    """An organization."""
    async with site.organization() as organization:
        yield organization


@pytest_asyncio.fixture(loop_scope="module")
async def them(site: Site) -> AsyncIterator[Organization]:
    """Another organization."""
    async with site.organization() as organization:
        yield organization
