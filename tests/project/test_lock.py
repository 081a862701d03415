"""requirements.lock fits pyproject.toml: what is asked for is pinned, and nothing else is pinned directly."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
HOW = "write the lock anew: scripts/lock"


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return [Requirement(text) for text in chain.from_iterable(lists)]


def pins() -> dict[str, dict[str, str]]:
    """Name of a package to its pinned versions, each with its block of the lock."""
    found: dict[str, dict[str, str]] = {}
    for block in re.split(r"^(?=\w)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]:
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", block).groups()  # type: ignore[union-attr]
        found.setdefault(canonicalize_name(name), {})[version] = block
    return found


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_what_is_asked_for_is_pinned(requirement: Requirement) -> None:
    versions = pins().get(canonicalize_name(requirement.name), {})
    assert versions, HOW
    assert all(requirement.specifier.contains(Version(version), prereleases=True) for version in versions), HOW


def test_what_is_pinned_directly_is_asked_for() -> None:
    asked = {canonicalize_name(requirement.name) for requirement in requirements()}
    direct = {
        name
        for name, blocks in pins().items()
        if any(re.search(r"#.* vai-engine \(pyproject\.toml", block) for block in blocks.values())
    }
    assert direct == asked, HOW


def test_every_pin_has_hashes() -> None:
    assert all("--hash=sha256:" in block for blocks in pins().values() for block in blocks.values())
