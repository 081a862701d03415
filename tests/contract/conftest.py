"""The generated document, and real answers of a real server, gathered once for all facts."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api import actions
from tests.api.site import Organization, Site, serving, step
from tests.contract.facts import PREFIX

Json = dict[str, Any]


@dataclass
class Answers:
    """What a real server answered: of every operation several, in several states of runs."""

    document: Json = field(default_factory=dict)
    bodies: dict[str, list[Json]] = field(default_factory=dict)
    refused: dict[str, httpx.Response] = field(default_factory=dict)  # by operation and what was wrong
    by_credential: dict[tuple[str, str], int] = field(default_factory=dict)
    stream: httpx.Response | None = None
    lists: dict[str, Json] = field(default_factory=dict)

    def keep(self, title: str, response: httpx.Response) -> Json:
        assert response.status_code == 200, response.text
        body = dict(response.json())
        self.bodies.setdefault(title, []).append(body)
        return body


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Everything that the facts are held against."""
    return asyncio.run(_gather(tmp_path_factory.mktemp("contract")))


async def _gather(folder: Path) -> Answers:
    found = Answers()
    async with serving(folder) as site, site.organization() as us:
        found.document = (await us.get(f"{site.url}/openapi.json")).json()
        run_id = await _walk(us, found)
        await _lists(us, found)
        await _refusals(us, run_id, found)
        await _credentials(site, us, run_id, found)
        found.stream = await us.get(f"/automation-runs/{run_id}/events")
    return found


async def _walk(us: Organization, found: Answers) -> str:
    """Runs in every status the contract can be seen in; the id of one that failed."""
    name = str(uuid4())
    with actions.gate(name) as gate:
        running = await us.run(step("a", "wait_at", name=name), step("b", depends_on=["a"]))
        await us.until(running["id"], "step.started")
        await _look(us, running["id"], found)
        found.keep("Cancel Run", await us.post(f"/automation-runs/{running['id']}/cancel"))
        gate.set()
    await _look(us, (await us.final(running["id"]))["id"], found)
    completed = await us.finished(step("a", value={"rows": 3}), step("b", value=5, depends_on=["a"]))
    await _look(us, completed["id"], found)
    asked = await us.run(step("ask", "approval_gate", title="Go on?"))
    await us.until(asked["id"], "run.awaiting_approval")
    await _look(us, asked["id"], found)
    skipped = [step(key, depends_on=["b"]) for key in ("c", "d")]
    automation_id = await us.define(step("a"), step("b", "broken", ["a"], name=name), *skipped)
    failed = await us.start(automation_id, concurrencyKey="one")
    await us.final(failed["id"])
    await _look(us, failed["id"], found)
    found.keep("Retry Run", await us.post(f"/automation-runs/{failed['id']}/retry", json={}))
    await us.final(failed["id"])
    await _look(us, failed["id"], found)
    return str(failed["id"])


async def _look(us: Organization, run_id: str, found: Answers) -> None:
    found.keep("Get Run", await us.get(f"/automation-runs/{run_id}"))
    found.keep("Get Run Steps", await us.get(f"/automation-runs/{run_id}/steps"))
    found.keep("List All Runs", await us.get("/automation-runs"))


async def _lists(us: Organization, found: Answers) -> None:
    automation_id = await us.define(step("a"))
    started = await asyncio.gather(*(us.start(automation_id) for _ in range(110)))
    await asyncio.gather(*(us.final(run["id"]) for run in started))
    for query in ("", "?limit=100&offset=0", "?limit=0", "?limit=1000", "?offset=3&limit=2", "?limit=5"):
        found.lists[query] = (await us.get(f"/automation-runs{query}")).json()
    for query in ("?status=failed", "?status=failed&status=cancelled", "?offset=99999999999999999999"):
        found.lists[query] = (await us.get(f"/automation-runs{query}")).json()


async def _refusals(us: Organization, run_id: str, found: Answers) -> None:
    for query in ("limit=1001", "limit=-1", "limit=x", "offset=-1", "offset=x", "status=nonsense"):
        found.refused[f"List All Runs {query}"] = await us.get(f"/automation-runs?{query}")
    for title, method, rest in (
        ("Get Run", "GET", ""),
        ("Cancel Run", "POST", "/cancel"),
        ("Stream Run Events", "GET", "/events"),
        ("Retry Run", "POST", "/retry"),
        ("Get Run Steps", "GET", "/steps"),
    ):
        found.refused[f"{title} run_id"] = await us.http.request(method, f"/automation-runs/x{rest}")
    path = f"/automation-runs/{run_id}/retry"
    for fault, body in (
        ("mode", {"mode": "nonsense"}),
        ("stepKey missing", {"mode": "from_step"}),
        ("stepKey unknown", {"mode": "from_step", "stepKey": "nonsense"}),
        ("stepKey with another mode", {"mode": "full", "stepKey": "a"}),
    ):
        found.refused[f"Retry Run {fault}"] = await us.post(path, json=body)


async def _credentials(site: Site, us: Organization, run_id: str, found: Answers) -> None:
    opened = await us.post("/auth/session")
    token = opened.cookies["vai_token"]
    us.http.cookies.clear()
    for name, headers in (
        ("authorization", {"Authorization": f"Bearer {us.key}"}),
        ("X-API-Key", {"X-API-Key": us.key}),
        ("vai_token", {"Cookie": f"vai_token={token}"}),
        ("none", {}),
        ("bad", {"Authorization": "Bearer nonsense"}),
    ):
        async with site.client(**headers) as client:
            for title, method, path in (
                ("List All Runs", "GET", PREFIX),
                ("Get Run", "GET", f"{PREFIX}/{run_id}"),
                ("Cancel Run", "POST", f"{PREFIX}/{run_id}/cancel"),
                ("Stream Run Events", "GET", f"{PREFIX}/{run_id}/events"),
                ("Retry Run", "POST", f"{PREFIX}/{run_id}/retry"),
                ("Get Run Steps", "GET", f"{PREFIX}/{run_id}/steps"),
            ):
                response = await client.request(method, f"{site.url}{path}")
                found.by_credential[title, name] = response.status_code
                if title == "Retry Run" and response.status_code == 200:
                    await us.final(run_id)
