"""What `/metrics` tells, to whom, and that it is right."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.actions import gate
from tests.api.site import Organization, Site, serving, soon, step
from tests.project.documents import text_of
from vai.ports import Standing, StoreUnavailable
from vai.telemetry import Levels, Metrics
from vai.telemetry.exposition import families
from vai.telemetry.metrics import Histogram

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(site: Site, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"{site.url}/metrics", headers=headers)


async def samples(site: Site) -> Samples:
    answer = await scrape(site)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in found for s in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0)


async def test_runs_steps_and_events_are_counted(site: Site, us: Organization) -> None:
    await us.finished(step("a"), step("b", depends_on=["a"]))
    await us.finished(step("a", "broken", name="never mended"))
    found = await samples(site)
    assert value(found, "vai_run_transitions_total", status="pending") == 2
    assert value(found, "vai_run_transitions_total", status="completed") == 1
    assert value(found, "vai_run_transitions_total", status="failed") == 1
    assert value(found, "vai_step_transitions_total", kind="echo", status="running") == 2
    assert value(found, "vai_step_transitions_total", kind="echo", status="completed") == 2
    assert value(found, "vai_step_transitions_total", kind="broken", status="failed") == 1
    assert value(found, "vai_events_total", type="step.started") == 3
    assert value(found, "vai_runs", status="completed") == 1
    assert value(found, "vai_runs", status="failed") == 1
    assert value(found, "vai_database_up") == 1
    assert value(found, "vai_engines_live") == 1


async def test_commits_and_requests_are_measured(site: Site, us: Organization) -> None:
    run = await us.finished(step("a"))
    for _ in range(3):
        await us.get(f"/automation-runs/{run['id']}")
    await us.get("/nowhere")
    # The quick route and the framework's own count as one operation.
    await us.get(f"/automation-runs/{run['id']}?x=1")
    found = await samples(site)
    commits = value(found, "vai_commit_seconds_count")
    assert commits >= 5
    assert value(found, "vai_commit_jobs_bucket", le="+Inf") == commits
    assert value(found, "vai_commit_jobs_sum") >= commits
    assert value(found, "vai_http_request_seconds_count", operation="get_run", status="200") == 5
    assert value(found, "vai_http_request_seconds_count", operation="start_run", status="201") == 1
    assert value(found, "vai_http_request_seconds_count", operation="none", status="404") == 1


async def test_what_is_at_work_and_who_listens_is_told(site: Site, us: Organization) -> None:
    async with asyncio.TaskGroup() as tasks:
        with gate("counted"):
            run = await us.run(step("a", "wait_at", name="counted"))
            tasks.create_task(us.final(run["id"]))
            await us.until(run["id"], "step.started")
            await soon(lambda: site.listener_count == 1)
            found = await samples(site)
            assert value(found, "vai_engine_held_runs") == 1
            assert value(found, "vai_engine_steps_at_work") == 1
            assert value(found, "vai_stream_listeners") == 1


async def test_runs_that_nobody_takes_make_a_queue(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", engine=False) as site, site.organization() as us:
        await us.run(step("a"))
        found = await samples(site)
        assert value(found, "vai_queue_runs") == 1
        assert ("vai_queue_age_seconds", frozenset()) in found


async def test_without_its_database_a_process_still_tells_of_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(site.system.store, "standing", gone)
    found = await samples(site)
    assert found["vai_database_up", frozenset()] == 0
    assert ("vai_queue_runs", frozenset()) not in found


# --- who may read them -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"Host": "vai.example"}]
)
async def test_what_a_proxy_or_a_page_elsewhere_asks_needs_a_key(site: Site, headers: dict[str, str]) -> None:
    assert (await scrape(site, **headers)).status_code == 401
    assert (await scrape(site, **headers, **{"X-API-Key": site.key})).status_code == 200


async def test_public_metrics_need_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", metrics="public") as site:
        assert (await scrape(site, Host="vai.example")).status_code == 200


async def test_open_metrics_are_given_to_who_asks_for_them(site: Site) -> None:
    answer = await scrape(site, Accept="application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")


# --- the parts ---------------------------------------------------------------------------------------------


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for number in (0.5, 1.0, 1.5, 9.0):
        histogram.add(number)
    assert histogram.cumulative() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == 12.0


def every_family() -> list[str]:
    levels = Levels(0, 0, 0, 0, 0, Standing(0, {}, 0, None, None, ()))
    suffix = {"counter": "_total", "info": "_info"}
    return [family.name + suffix.get(family.type, "") for family in families(Metrics(), levels, "1")]


@pytest.mark.parametrize("name", every_family())
def test_every_metric_is_told_on_its_page(name: str) -> None:
    assert f"| `{name}`" in text_of("docs/observability.md")
