"""Requests made up from our own document: no answer is a server error, and each is as the document says."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.site import Organization, serving, step
from vai.api import Doors, create_app

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]


class Served:
    """A site in a thread of its own, with a key and the ids of things that are there."""

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.ids: dict[str, Any] = {}

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._folder) as site, site.organization() as us:
            await self._fill(us)
            self.url, self.key = site.url, us.key
            self._ready.set()
            await self._stop.wait()

    async def _fill(self, us: Organization) -> None:
        run = await us.finished(step("a", "large", size=70_000), step("b", "broken", ["a"], name="never"))
        (large, _) = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
        asked = await us.run(step("a", "approval_gate", title="Go on?", fields={"type": "object"}))
        await us.until(asked["id"], "run.awaiting_approval")
        (decision,) = (await us.get("/decisions")).json()["items"]
        self.ids = {
            "run_id": run["id"],
            "automation_id": run["automationId"],
            "number": 1,
            "action_run_id": large["actionRunId"],
            "artifact_id": large["artifactId"],
            "kind": "echo",
            "decision_id": decision["id"],
        }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The site."""
    with Served(tmp_path_factory.mktemp("schema")) as found:
        yield found


def our_document() -> Any:
    """The document needs no doors: it is about what is asked and answered, not by whom."""
    nothing: Any = None
    doors = Doors(*[nothing] * 12)
    return schemathesis.openapi.from_dict(create_app(doors).openapi())


schema = our_document()


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_made_up_requests(case: Any, served: Served) -> None:
    for name, value in (case.path_parameters or {}).items():
        # A made-up id that could be one becomes one of a thing that is there; one that could not stays.
        if name in served.ids and could_be(name, value):
            case.path_parameters[name] = served.ids[name]
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {served.key}"}
    case.call_and_validate(base_url=served.url, checks=CHECKS, timeout=20)


def could_be(name: str, value: Any) -> bool:
    if name == "number":
        return isinstance(value, int) and value > 0
    try:
        return name != "kind" and bool(UUID(str(value)))
    except ValueError:
        return False
