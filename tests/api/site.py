"""The whole system on a free loopback port, in the test's own event loop, and clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvicorn

from vai.api import end_streams
from vai.settings import Settings
from vai.wiring import System, running

Json = dict[str, Any]
ACTIONS = "tests.api.actions"
_TLS = ssl.create_default_context()  # costs more than a request, and nothing here is encrypted


async def soon(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no signal of its own)
            await asyncio.sleep(0)


def step(key: str, kind: str = "echo", depends_on: Sequence[str] = (), **definition: Any) -> Json:
    """A step of a config."""
    return {"key": key, "kind": kind, "dependsOn": list(depends_on), "definition": definition}


@dataclass(frozen=True)
class SentEvent:
    """An event as it came over the stream."""

    id: int | None
    event: str
    data: Json


@dataclass
class Organization:
    """An organization with its key: what one of its programs can do."""

    site: Site
    tenant_id: str
    key: str
    http: httpx.AsyncClient

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.post(path, **options)

    async def define(self, *steps: Json, **config: Any) -> str:
        """A published automation; its id."""
        body = {"name": str(uuid4()), "config": {"steps": list(steps), **config}}
        made = await self.post("/automations", json=body)
        assert made.status_code == 201, made.text
        automation_id = made.json()["id"]
        published = await self.post(f"/automations/{automation_id}/versions/1/publish")
        assert published.status_code == 200, published.text
        return str(automation_id)

    async def start(self, automation_id: str, **body: Any) -> Json:
        """A new run."""
        started = await self.post(f"/automations/{automation_id}/runs", json=body)
        assert started.status_code == 201, started.text
        return dict(started.json())

    async def run(self, *steps: Json, **config: Any) -> Json:
        """A new run of a new automation of these steps."""
        return await self.start(await self.define(*steps, **config))

    async def final(self, run_id: str) -> Json:
        """The run, once it is final."""
        async for _ in self.stream(run_id):
            pass
        return dict((await self.get(f"/automation-runs/{run_id}")).json())

    async def finished(self, *steps: Json, **config: Any) -> Json:
        """A new run of a new automation of these steps, at its end."""
        return await self.final((await self.run(*steps, **config))["id"])

    async def stream(self, run_id: str, **options: Any) -> AsyncIterator[SentEvent]:
        """The events of a run as its stream sends them, `stream.end` too."""
        async with self.http.stream("GET", f"/automation-runs/{run_id}/events", **options) as response:
            assert response.status_code == 200, await response.aread()
            async for event in parse(response):
                yield event

    async def until(self, run_id: str, event_type: str) -> list[SentEvent]:
        """The events up to the first one of a type."""
        seen = []
        async with contextlib.aclosing(self.stream(run_id)) as events:
            async for event in events:
                seen.append(event)
                if event.event == event_type:
                    return seen
        raise AssertionError(f"the stream ended without {event_type}: {[event.event for event in seen]}")

    async def log(self, run_id: str) -> list[Json]:
        """All stored events of a run."""
        page = await self.get(
            f"/automation-runs/{run_id}/events", headers={"Accept": "application/json"}, params={"limit": 1000}
        )
        return list(page.json()["items"])


async def parse(response: httpx.Response) -> AsyncIterator[SentEvent]:
    """The events of a stream's answer; comments are left out."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            yield SentEvent(number, fields["event"], json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}


@dataclass
class Site:
    """A running system with its server."""

    system: System
    server: uvicorn.Server
    url: str
    key: str

    @property
    def listener_count(self) -> int:
        """How many listeners follow runs now."""
        return int(self.system.doors.runs._hub.listener_count)

    def client(self, **headers: str) -> httpx.AsyncClient:
        """An HTTP client with just these headers."""
        return httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=30, verify=_TLS)

    @contextlib.asynccontextmanager
    async def organization(self) -> AsyncIterator[Organization]:
        """A new organization."""
        tenant_id, name = str(uuid4()), uuid4().hex
        await self.system.store.create_organization(tenant_id, name, name, 0)
        key = await self.system.doors.access.create_api_key(tenant_id, "test")
        async with self.client(**{"X-API-Key": key}) as http:
            yield Organization(self, tenant_id, key, http)


@contextlib.asynccontextmanager
async def serving(folder: Path, *more_actions: str, **settings: Any) -> AsyncIterator[Site]:
    """The system on a free port, with its data in `folder`; stopped as `vai serve` stops."""
    chosen = Settings(data_dir=folder, actions=(ACTIONS, *more_actions), drain_seconds=0, **settings)
    async with running(chosen) as system:
        listener = socket.create_server(("127.0.0.1", 0))
        # Small, so that a listener that does not read is noticed after little.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        config = uvicorn.Config(system.app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=3)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        serving_task = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield Site(system, server, url, (folder / "admin.key").read_text().strip())
        finally:
            end_streams(system.app)
            server.should_exit = True
            await serving_task
