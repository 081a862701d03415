"""One server for the tests that do not end it, and a folder of its own for each test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.server import Server, Vai, api_of


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that tests share; each makes automations of its own."""
    shared = Server(tmp_path_factory.mktemp("server"))
    shared.start()
    yield shared
    shared.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A running server for a test that ends it."""
    own = Server(tmp_path)
    own.start()
    yield own
    own.kill()


@pytest.fixture
def vai(server: Server, tmp_path: Path) -> Iterator[Vai]:
    """Commands against the shared server."""
    with contextlib.closing(api_of(server.data_dir)) as api:
        yield Vai(server.data_dir, tmp_path, api)


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"flights-{uuid4().hex[:6]}"
