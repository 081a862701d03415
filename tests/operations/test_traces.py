"""A run is a trace and a step a span, whoever drove it; and the trace goes on in what steps call."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.api.site import serving, step
from tests.operations.collector import Spans, attributes, collector
from tests.operations.test_backup import finish_run
from tests.serving import Server
from vai.domain.ids import is_traceparent, step_span_id, step_traceparent
from vai.settings import Settings
from vai.wiring import running

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ACTIONS = """
import os
import vai

@vai.action
async def place(context: vai.Context) -> str:
    from opentelemetry import trace
    current = trace.get_current_span().get_span_context()
    assert f"{current.span_id:016x}" == context.traceparent[36:52]
    return context.traceparent

@vai.action(process=True)
def place_in_child(context: vai.Context) -> list[str]:
    return [context.traceparent, os.environ["TRACEPARENT"]]
"""


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """A collector that the process sends its traces to."""
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "flights")
        yield found


async def test_a_run_is_a_trace_and_a_step_a_span(tmp_path: Path, spans: Spans) -> None:
    async with serving(tmp_path / "data") as site, site.organization() as us:
        run = await us.finished(step("a"), step("b", "broken", ["a"], name="never"), step("c", depends_on=["b"]))
        found = await asyncio.to_thread(spans.wait, 3)
    assert set(found) == {"run", "a", "b"}  # c was skipped: it never began
    trace = found["run"]
    assert {span.trace_id.hex() for span in found.values()} == {run["id"].replace("-", "")}
    assert trace.parent_span_id == b""
    assert found["a"].parent_span_id == found["b"].parent_span_id == trace.span_id
    assert attributes(trace) | {"vai.tenant.id": "", "vai.automation.id": ""} == {
        "vai.run.id": run["id"],
        "vai.run.attempt": 1,
        "vai.run.status": "failed",
        "vai.run.trigger": "manual",
        "vai.tenant.id": "",
        "vai.automation.id": "",
        "vai.automation.version": 1,
    }
    assert attributes(found["b"]) == {
        "vai.run.id": run["id"],
        "vai.step.key": "b",
        "vai.step.kind": "broken",
        "vai.step.status": "failed",
        "vai.step.tries": 1,
    }
    assert (found["a"].status.code, found["b"].status.code) == (1, 2)
    assert found["b"].status.message == "broken: never is broken"
    assert trace.start_time_unix_nano <= found["a"].start_time_unix_nano <= found["a"].end_time_unix_nano
    assert found["b"].end_time_unix_nano <= trace.end_time_unix_nano
    assert spans.resources[0]["service.name"] == "flights"


async def test_tries_are_told_within_the_span(tmp_path: Path, spans: Spans) -> None:
    retry = {"maxAttempts": 2, "initialSeconds": 0.01, "jitter": False, "on": ["broken"]}
    async with serving(tmp_path / "data") as site, site.organization() as us:
        await us.finished({**step("a", "broken", name="never"), "retry": retry})
        found = await asyncio.to_thread(spans.wait, 2)
    assert attributes(found["a"])["vai.step.tries"] == 2
    assert [event.name for event in found["a"].events] == ["step.retry_scheduled", "step.started"]


async def test_the_trace_of_the_caller_goes_on(tmp_path: Path, spans: Spans) -> None:
    (tmp_path / "actions.py").write_text(ACTIONS)
    async with serving(tmp_path / "data", str(tmp_path / "actions.py")) as site, site.organization() as us:
        us.http.headers["traceparent"] = CALLER
        run = await us.finished(step("a", "place"), step("b", "place_in_child"))
        steps = {s["key"]: s for s in (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]}
        found = await asyncio.to_thread(spans.wait, 3)
        first = (await us.log(run["id"]))[0]
    assert found["run"].trace_id.hex() == CALLER[3:35]
    assert found["run"].parent_span_id.hex() == CALLER[36:52]
    handed_on = f"00-{CALLER[3:35]}-{found['a'].span_id.hex()}-01"
    assert steps["a"]["result"] == {"value": handed_on}
    in_child = f"00-{CALLER[3:35]}-{found['b'].span_id.hex()}-01"
    assert steps["b"]["result"] == {"value": [in_child, in_child]}
    assert first["data"]["traceparent"] == CALLER


async def test_another_process_continues_the_trace(tmp_path: Path, spans: Spans) -> None:
    async with serving(tmp_path / "data", engine=False) as site, site.organization() as us:
        us.http.headers["traceparent"] = CALLER
        run = await us.run(step("a"))
    async with running(Settings(data_dir=tmp_path / "data", actions=("tests.api.actions",))):
        found = await asyncio.to_thread(spans.wait, 2)
    assert found["run"].trace_id.hex() == CALLER[3:35]
    assert found["a"].span_id.hex() == step_span_id(run["id"], "a", 1)


async def test_a_retry_is_a_span_of_its_own_in_the_same_trace(tmp_path: Path, spans: Spans) -> None:
    async with serving(tmp_path / "data") as site, site.organization() as us:
        run = await us.finished(step("a", "broken", name="never"))
        first = await asyncio.to_thread(spans.wait, 2)
        await us.post(f"/automation-runs/{run['id']}/retry", json={"mode": "full"})
        await us.final(run["id"])
        second = await asyncio.to_thread(spans.wait, 4)
    assert first["run"].trace_id == second["run"].trace_id
    assert first["run"].span_id != second["run"].span_id
    assert attributes(second["run"])["vai.run.attempt"] == 2
    assert second["a"].parent_span_id == second["run"].span_id


async def test_a_trace_that_its_caller_does_not_keep_is_not_sent(tmp_path: Path, spans: Spans) -> None:
    async with serving(tmp_path / "data") as site, site.organization() as us:
        await us.http.post(
            f"/automations/{await us.define(step('a'))}/runs", json={}, headers={"traceparent": CALLER[:-1] + "0"}
        )
        await us.finished(step("kept"))
        await asyncio.to_thread(spans.wait, 2)
    assert spans.count == 2


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a server that answers the headers it is sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


async def headers_sent(folder: Path, url: str) -> tuple[str, dict[str, Any]]:
    async with serving(folder) as site, site.organization() as us:
        run = await us.finished(step("a", "http_request", url=url))
        steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
        return run["id"], steps[0]["result"]["json"]


async def test_a_request_carries_the_trace_on(tmp_path: Path, spans: Spans, echo: str) -> None:
    run_id, headers = await headers_sent(tmp_path / "data", echo)
    assert headers["traceparent"] == step_traceparent(run_id, "a", 1, None)
    assert is_traceparent(headers["traceparent"])
    assert (await asyncio.to_thread(spans.wait, 2))["a"].span_id.hex() == headers["traceparent"][36:52]


async def test_without_a_collector_nothing_is_sent_along(tmp_path: Path, echo: str) -> None:
    _, headers = await headers_sent(tmp_path / "data", echo)
    assert "traceparent" not in headers


async def test_a_collector_that_is_not_there_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with caplog.at_level(logging.INFO):
        async with serving(tmp_path / "data") as site, site.organization() as us:
            for _ in range(2):
                assert (await us.finished(step("a")))["status"] == "completed"
                await site.system.traces._ended.join()  # type: ignore[union-attr]
    told = [record.message for record in caplog.records if record.name == "vai.traces"]
    assert len(told) == 1
    assert "cannot be sent" in told[0]


@pytest.mark.process
def test_a_process_ends_without_a_collector_that_keeps_silent(tmp_path: Path) -> None:
    """It is not waited for until its time is up, and that traces are lost is told."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        server = Server(tmp_path / "data", environment=environment)
        server.start()
        try:
            finish_run(server)
            assert server.stop() == 0  # within a minute, or it fails
        finally:
            server.kill()
    assert server.log.read_text().count("Traces are lost") == 1


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (CALLER, True),
        (CALLER.replace("00-", "01-", 1) + "-more", True),
        (CALLER + "-more", False),
        (CALLER.replace("00-", "ff-", 1), False),
        (CALLER.upper(), False),
        ("00-" + "0" * 32 + CALLER[35:], False),
        (CALLER[:36] + "0" * 16 + CALLER[52:], False),
        ("", False),
        (None, False),
    ],
)
def test_a_header_that_is_no_traceparent_is_ignored(text: str | None, is_one: bool) -> None:
    assert is_traceparent(text) is is_one
