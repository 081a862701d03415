"""Registries whose working files are in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actions.context import Context
from vai.actions import registry
from vai.ports import Actions


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def kinds(data_dir: Path) -> Actions:
    return registry(data_dir=data_dir)


@pytest.fixture
def actions_of(tmp_path: Path, data_dir: Path) -> Callable[[str], Actions]:
    """A registry with the actions of a file with this text."""

    def make(text: str) -> Actions:
        path = tmp_path / "actions.py"
        path.write_text(text)
        return registry([str(path)], data_dir=data_dir)

    return make
