"""The event stream: complete, in order, resumable, and gone when its listener is gone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tests.api import actions
from tests.api.site import Organization, Site, serving, soon, step
from vai.api import end_streams
from vai.api.doors import HttpOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def seqs(events: AsyncIterator[object]) -> list[int | None]:
    return [event.id async for event in events]  # type: ignore[attr-defined]


async def test_a_stream_has_every_event_once_in_order_and_then_its_end(us: Organization) -> None:
    run = await us.run(step("a"), step("b", depends_on=["a"]))
    sent = [event async for event in us.stream(run["id"])]
    *events, end = sent
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.data for event in events] == await us.log(run["id"])
    assert [event.event for event in events] == [event.data["type"] for event in events]
    assert [event.event for event in events] == [
        *("run.created", "run.started", "step.started", "step.completed"),
        *("step.started", "step.completed", "run.completed"),
    ]
    assert (end.id, end.event, end.data["runId"]) == (None, "stream.end", run["id"])


async def test_the_parts_of_an_event(us: Organization) -> None:
    run = await us.finished(step("a"))
    event = next(event for event in await us.log(run["id"]) if event["type"] == "step.started")
    assert set(event) == {"seq", "type", "runId", "attempt", "stepKey", "occurredAt", "data"}
    assert (event["runId"], event["attempt"], event["stepKey"]) == (run["id"], 1, "a")
    assert event["occurredAt"].endswith("Z")
    assert len(event["occurredAt"]) == len("2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("how", ["header", "query"])
async def test_cut_after_every_event_and_resumed_nothing_is_missing_or_doubled(us: Organization, how: str) -> None:
    name = str(uuid4())
    with actions.gate(name) as gate:
        run = await us.run(step("a"), step("b", "wait_at", ["a"], name=name), step("c", depends_on=["b"]))
        got: list[int] = []
        while True:
            last = str(got[-1]) if got else "0"
            option = {"headers": {"Last-Event-ID": last}} if how == "header" else {"params": {"after": last}}
            async with contextlib.aclosing(us.stream(run["id"], **option)) as events:
                event = await anext(events)
            if event.event == "stream.end":
                break
            assert event.id is not None
            got.append(event.id)
            if event.event == "step.started" and event.data["stepKey"] == "b":
                gate.set()
    assert got == [event["seq"] for event in await us.log(run["id"])]
    assert got == list(range(1, len(got) + 1))


async def test_a_listener_that_comes_after_the_end_gets_history_and_the_end(us: Organization) -> None:
    run = await us.finished(step("a"))
    first = [event async for event in us.stream(run["id"])]
    assert [event.event for event in first][-2:] == ["run.completed", "stream.end"]
    resumed = [event async for event in us.stream(run["id"], headers={"Last-Event-ID": str(first[-2].id)})]
    assert [event.event for event in resumed] == ["stream.end"]


async def test_listeners_before_during_and_after_see_the_same(us: Organization) -> None:
    name = str(uuid4())
    with actions.gate(name) as gate:
        run = await us.run(step("a", "wait_at", name=name), step("b", "say", ["a"], lines=50))
        before = asyncio.create_task(seqs(us.stream(run["id"])))
        await us.until(run["id"], "step.started")
        during = asyncio.create_task(seqs(us.stream(run["id"])))
        gate.set()
        assert await before == await during == await seqs(us.stream(run["id"]))


async def test_two_listeners_and_one_leaves(site: Site, us: Organization) -> None:
    name = str(uuid4())
    with actions.gate(name) as gate:
        run = await us.run(step("a", "wait_at", name=name))
        stays = asyncio.create_task(seqs(us.stream(run["id"])))
        await soon(lambda: site.listener_count == 1)
        async with contextlib.aclosing(us.stream(run["id"])) as events:
            await anext(events)
            assert site.listener_count == 2
        await soon(lambda: site.listener_count == 1)
        gate.set()
        assert (await stays)[-1] is None
    await soon(lambda: site.listener_count == 0)


async def test_a_retry_goes_on_with_the_numbers(us: Organization) -> None:
    run = await us.finished(step("a"))
    before = await us.log(run["id"])
    await us.post(f"/automation-runs/{run['id']}/retry", json={"mode": "full"})
    sent = [event async for event in us.stream(run["id"], params={"after": len(before)})]
    assert sent[0].event == "run.retried"
    assert [event.id for event in sent[:-1]] == [event["seq"] for event in await us.log(run["id"])][len(before) :]
    assert {event.data["attempt"] for event in sent[:-1]} == {2}


async def test_a_number_that_is_not_reached_yet_keeps_nobody_waiting(us: Organization) -> None:
    name = str(uuid4())
    with actions.gate(name) as gate:
        run = await us.run(step("a", "wait_at", name=name))
        await us.until(run["id"], "step.started")
        late = asyncio.create_task(seqs(us.stream(run["id"], headers={"Last-Event-ID": "9" * 40})))
        await soon(lambda: us.site.listener_count > 0)
        gate.set()
        assert (await late)[-1] is None


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "１"])
async def test_a_header_that_is_no_number_is_ignored(us: Organization, value: str) -> None:
    run = await us.finished(step("a"))
    raw = [(b"Last-Event-ID", value.encode())]
    sent = [event async for event in us.stream(run["id"], headers=httpx.Headers(raw))]
    assert sent[0].id == 1


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 30])
async def test_a_query_that_is_no_number_is_refused(us: Organization, value: str) -> None:
    run = await us.finished(step("a"))
    refused = await us.get(f"/automation-runs/{run['id']}/events", params={"after": value})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["query", "after"]


async def test_the_headers_of_a_stream(us: Organization) -> None:
    run = await us.finished(step("a"))
    async with us.http.stream("GET", f"/automation-runs/{run['id']}/events") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        await response.aread()


async def test_pages_of_stored_events(us: Organization) -> None:
    run = await us.finished(step("a"), step("b"))
    log = await us.log(run["id"])
    path, accept = f"/automation-runs/{run['id']}/events", {"Accept": "application/json"}
    got, after = [], 0
    while after is not None:
        page = (await us.get(path, headers=accept, params={"after": after, "limit": 2})).json()
        got += page["items"]
        after = page["nextAfter"]
        assert (after is None) is (got == log)
    nothing = [
        (await us.get(path, headers=accept, params={"after": n, "limit": 0})).json() for n in (2, log[-1]["seq"])
    ]
    assert nothing == [{"items": [], "nextAfter": 2}, {"items": [], "nextAfter": None}]
    loud = await us.get(path, headers={"Accept": "APPLICATION/JSON"}, params={"limit": 100})
    assert loud.json()["items"] == log


async def test_a_stream_that_lists_both_types_is_a_stream(us: Organization) -> None:
    run = await us.finished(step("a"))
    accept = {"Accept": "text/event-stream, application/json"}
    assert [event async for event in us.stream(run["id"], headers=accept)]


async def test_instants_within_an_events_data_are_rfc_3339(us: Organization) -> None:
    run = await us.run({**step("a", "broken", name="never"), "retry": {"maxAttempts": 2, "on": ["broken"]}})
    *_, event = await us.until(run["id"], "step.retry_scheduled")
    assert event.data["data"]["nextAttemptAt"].endswith("Z")
    await us.post(f"/automation-runs/{run['id']}/cancel")


async def test_many_events_come_in_few_chunks(us: Organization) -> None:
    run = await us.finished(step("a", "say", lines=200))
    chunks = 0
    async with us.http.stream("GET", f"/automation-runs/{run['id']}/events") as response:
        async for _ in response.aiter_raw():
            chunks += 1
    assert chunks < 20


async def test_a_quiet_stream_is_kept_awake(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("quiet")
    name = str(uuid4())
    async with serving(folder, heartbeat_seconds=0.05) as site, site.organization() as us:
        with actions.gate(name):
            run = await us.run(step("a", "wait_at", name=name))
            async with us.http.stream("GET", f"/automation-runs/{run['id']}/events") as response:
                comments = 0
                async for line in response.aiter_lines():
                    comments += line.startswith(":")
                    if comments == 3:
                        break
    assert comments == 3


async def test_a_stalled_listener_is_dropped_and_nobody_waits_for_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name = str(uuid4())
    steps = [step(f"s{number}", "large", [f"s{number - 1}" if number else "a"], size=60_000) for number in range(40)]
    async with serving(tmp_path_factory.mktemp("stall")) as site, site.organization() as us:
        site.system.app.state.options = HttpOptions(stall_seconds=1.5)
        with actions.gate(name) as gate:
            run = await us.run(step("a", "wait_at", name=name), *steps)
            stalled = open_stalled_stream(us, run["id"])
            await soon(lambda: site.listener_count == 1)
            gate.set()
            read = [event.id async for event in us.stream(run["id"])]
        assert read[:-1] == [event["seq"] for event in await us.log(run["id"])]
        await soon(lambda: site.listener_count == 0 and not site.server.server_state.tasks)
        stalled.close()


def open_stalled_stream(us: Organization, run_id: str) -> socket.socket:
    """A connection that asks for the events and never reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    url = httpx.URL(us.site.url)
    client.connect((url.host, url.port))
    request = f"GET /api/v1/automation-runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {us.key}\r\n\r\n"
    client.sendall(request.encode())
    return client


async def test_the_servers_stop_ends_streams_without_saying_that_the_run_is_over(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name = str(uuid4())
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(serving(tmp_path_factory.mktemp("stop")))
        us = await stack.enter_async_context(site.organization())
        with actions.gate(name):
            run = await us.run(step("a", "wait_at", name=name))
            listening = asyncio.create_task(types_of(us, run["id"]))
            await soon(lambda: site.listener_count == 1)
            end_streams(site.system.app)
            async with asyncio.timeout(5):
                seen = await listening
            assert "stream.end" not in seen
            assert site.listener_count == 0
            assert "stream.end" not in await types_of(us, run["id"])


async def types_of(us: Organization, run_id: str) -> list[str]:
    return [event.event async for event in us.stream(run_id)]
