"""The files for containers say what vai understands. They are not run here: that takes a container engine."""

import re
from dataclasses import fields
from typing import Any

import pytest
import yaml

from tests.project.documents import ROOT
from tests.project.test_docs import COMMANDS
from vai.settings import Settings, settings_from

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = [name for name, service in COMPOSE["services"].items() if service.get("image") == "vai"]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_the_services_are_there() -> None:
    assert sorted(COMPOSE["services"]) == ["api", "postgres", "temporal", "worker-1", "worker-2"]
    assert sorted(OURS) == ["api", "worker-1", "worker-2"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_started_as_vai_understands_it(name: str) -> None:
    command, *arguments = service(name)["command"]
    COMMANDS[f"vai {command}"].make_context(command, list(arguments))
    environment = {key: str(value) for key, value in service(name)["environment"].items()}
    known = {f"VAI_{field.name.upper()}" for field in fields(Settings)}
    assert {key for key in environment if key.startswith("VAI_")} <= known
    settings = settings_from(environment)
    assert settings.dag_engine == "temporal"
    assert settings.database.startswith("postgresql://")
    grace = int(service(name)["stop_grace_period"].removesuffix("s"))
    assert grace > settings.drain_seconds


def test_every_volume_that_is_named_is_there() -> None:
    named = {
        mount.split(":")[0]
        for one in COMPOSE["services"].values()
        for mount in one.get("volumes", ())
        if not mount.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])


def test_the_image_is_made_of_what_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE):
        for path in line.split():
            assert (ROOT / path).exists(), path
            assert f"!{path}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["vai"]
    extras = re.search(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)
    assert extras is not None
    known = re.search(r"\[project.optional-dependencies\](.*?)\n\[", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert known is not None
    assert set(extras[1].split(",")) == set(re.findall(r"^(\w+) = \[", known[1], re.MULTILINE))


def test_the_image_can_back_up_the_database_of_the_composition() -> None:
    """pg_dump refuses a server that is newer than itself, and Debian 13 has the client of PostgreSQL 17 alone."""
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.13-slim-trixie"] * 2
    clients = re.findall(r"postgresql-client-(\d+)", text)
    assert [f"postgres:{major}" for major in clients] == [service("postgres")["image"]] == ["postgres:17"]
    assert service("postgres")["volumes"] == ["postgres:/var/lib/postgresql/data"]  # where the image of 17 has it
    assert "has PostgreSQL 17's `pg_dump`" in (ROOT / "docs/deployment.md").read_text()


def test_the_workers_of_the_composition_serve_their_metrics_to_it_alone() -> None:
    for name in ("worker-1", "worker-2"):
        settings = settings_from({key: str(value) for key, value in service(name)["environment"].items()})
        assert settings.metrics == "public"
        assert f":{settings.metrics_port}/health" in service(name)["healthcheck"]["test"][-1]
        assert "ports" not in service(name)


def test_the_lock_becomes_constraints() -> None:
    """As the image's build makes them: every package with its version, and nothing that pip refuses there."""
    wanted = re.compile(r"^([A-Za-z0-9._-]+)(\[[^]]*\])?(==[^ ;]+)( ; [^\\]*)?")
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line[:80]]
    pinned = [line for line in lines if not line.startswith((" ", "#"))]
    assert len(pinned) > 50
    assert all(wanted.match(line) for line in pinned)
