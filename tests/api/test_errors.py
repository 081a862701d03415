"""Bad requests get a clear answer in the promised form, and never a 500."""

import asyncio
import logging
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.site import Organization, Site, step
from vai.ports import StoreUnavailable
from vai.runs.door import Contended

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
DEEP = b'{"input":' + b"[" * 500 + b"]" * 500 + b"}"


def is_problem(answer: httpx.Response, slug: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert (body["type"], body["status"]) == (f"/errors/{slug}", answer.status_code)


@pytest.mark.parametrize("path", ["/nonsense", "/automation-runs/", "/automation-runs/x/y/z", "//", "/%00", "/%ff"])
async def test_an_unknown_address(us: Organization, path: str) -> None:
    answer = await us.get(f"{us.site.url}/api/v1{path}")
    assert answer.status_code == 404
    is_problem(answer, "not-found")


@pytest.mark.parametrize(
    "method, path, allowed",
    [("PUT", "/automation-runs", {"GET"}), ("DELETE", "/automations", {"GET", "POST"}), ("POST", "/kinds", {"GET"})],
)
async def test_a_method_that_the_address_does_not_know(
    us: Organization, method: str, path: str, allowed: set[str]
) -> None:
    answer = await us.http.request(method, path)
    assert answer.status_code == 405
    is_problem(answer, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) <= allowed


@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"x", b"{]", b"{} {}", b'{"mode":}', b"NaN", b'{"mode": NaN}', b"\xff\xfe", b'{"mode":"\xff"}'),
        *(b'{"mode":"\\ud800"}', b"\xef\xbb\xbf{}", b'{"input":' + b"9" * 5000 + b"}", b'{"input":1e999}', DEEP),
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("path", ["/automations", "/automations/{automation}/runs", "/automation-runs/{run}/retry"])
async def test_a_body_that_is_no_json(us: Organization, path: str, content: bytes) -> None:
    run = await us.finished(step("a"))
    url = path.format(automation=run["automationId"], run=run["id"])
    answer = await us.post(url, content=content, headers=JSON)
    assert answer.status_code == 422, answer.text
    (item,) = answer.json()["detail"]
    assert (item["loc"], item["type"]) == (["body"], "json_invalid")


@pytest.mark.parametrize("content", [b"null", b"[]", b'"x"', b"5", b"true"])
async def test_a_body_that_is_no_object(us: Organization, content: bytes) -> None:
    answer = await us.post("/automations", content=content, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_is_not_sent_as_json(us: Organization, media_type: str) -> None:
    answer = await us.post("/automations", content=b"{}", headers={"Content-Type": media_type})
    assert answer.status_code == 415
    is_problem(answer, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"])
async def test_a_body_that_is_json_by_another_name(us: Organization, media_type: str) -> None:
    answer = await us.post("/automations/validate", content=b'{"config":1}', headers={"Content-Type": media_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit(us: Organization, chunked: bool) -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b" " * 1024 * 1024

    content = chunks() if chunked else b" " * (10 * 1024 * 1024 + 1)
    answer = await us.post("/automations/validate", content=content, headers=JSON)
    assert answer.status_code == 413
    is_problem(answer, "body-too-large")
    assert answer.json()["limitBytes"] == 10 * 1024 * 1024


@pytest.mark.parametrize(
    "body, loc",
    [
        ({}, ["config"]),
        ({"config": {}}, ["name"]),
        ({"config": {"steps": []}, "name": ""}, ["name"]),
        ({"config": {"steps": []}, "name": "x" * 256}, ["name"]),
        ({"config": {"steps": []}, "name": "a\x00b"}, ["name"]),
        ({"config": {"steps": []}, "name": 5}, ["name"]),
        ({"config": {"steps": []}, "name": "x", "description": "\x00"}, ["description"]),
        ({"config": {"steps": []}, "name": "x", "orchestratorType": "other"}, ["orchestratorType"]),
        ({"config": {"steps": []}, "name": "x", "triggerType": "other"}, ["triggerType"]),
        ({"config": {"steps": []}, "name": "x", "unknown": 1}, ["unknown"]),
        ({"config": [], "name": "x"}, ["config"]),
    ],
)
async def test_a_field_that_does_not_fit(us: Organization, body: dict[str, Any], loc: list[str]) -> None:
    answer = await us.post("/automations", json=body)
    assert answer.status_code == 422
    assert ["body", *loc] in [item["loc"] for item in answer.json()["detail"]]
    assert all(set(item) == {"loc", "msg", "type"} for item in answer.json()["detail"])


@pytest.mark.parametrize(
    "field, value",
    [
        *(("versionNumber", value) for value in (0, -1, 2**31, 10**30, 1.5, "1", True)),
        *(("concurrencyKey", value) for value in ("", "\x00", "x" * 256, 5)),
        ("other", 1),
    ],
)
async def test_a_field_of_a_start_that_does_not_fit(us: Organization, field: str, value: Any) -> None:
    automation_id = await us.define(step("a"))
    answer = await us.post(f"/automations/{automation_id}/runs", json={field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize("value", [2**63, -(2**70), 10**300, 1e308, "\x00", "\U0001f600", [[]] * 1000])
async def test_an_input_of_any_kind_is_kept_as_it_is(us: Organization, value: Any) -> None:
    automation_id = await us.define(step("a"))
    started = await us.post(f"/automations/{automation_id}/runs", json={"input": {"value": value}})
    assert started.status_code in (201, 422)
    if started.status_code == 201:
        assert (await us.final(started.json()["id"]))["status"] == "completed"


@pytest.mark.parametrize("query", ["name=%00", "name=" + "x" * 256, "status=x", "limit=1001", "offset=-1"])
async def test_a_query_that_does_not_fit(us: Organization, query: str) -> None:
    answer = await us.get(f"/automations?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "query"


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30])
async def test_a_version_number_that_is_none(us: Organization, number: str) -> None:
    answer = await us.get(f"/automations/{uuid4()}/versions/{number}")
    assert answer.status_code == 422


@pytest.mark.parametrize("kind", ["%00", "..", "a%2Fb", "x" * 3000])
async def test_a_kind_that_is_none(us: Organization, kind: str) -> None:
    assert (await us.get(f"/kinds/{kind}")).status_code in (404, 200 if kind == ".." else 404)


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
async def test_an_id_is_known_in_each_way_of_writing_it(us: Organization, form: str) -> None:
    run = await us.finished(step("a"))
    answer = await us.get(f"/automation-runs/{form.format(run['id'].upper())}")
    assert answer.json() == run


async def test_who_is_not_known_learns_nothing_of_the_body(site: Site) -> None:
    async with site.client() as client:
        answer = await client.post("/automations", content=b"{", headers=JSON)
    assert answer.status_code == 401


class Failing:
    """Doors whose every question fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def get(self, *_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error, slug, retry_after",
    [
        (StoreUnavailable("secret-host is down"), "store-unavailable", "5"),
        (Contended("The run is changing too quickly; try again."), "contended", "1"),
    ],
)
async def test_what_may_pass_is_told_with_when_to_try_again(
    us: Organization, monkeypatch: pytest.MonkeyPatch, error: Exception, slug: str, retry_after: str
) -> None:
    monkeypatch.setattr(us.site.system.doors.runs, "get", Failing(error).get)
    answer = await us.get(f"/automation-runs/{uuid4()}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, retry_after)
    is_problem(answer, slug)
    assert "secret" not in answer.text


async def test_what_nobody_foresaw_is_logged_with_an_id_and_told_without_its_internals(
    us: Organization, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(us.site.system.doors.runs, "get", Failing(ZeroDivisionError("secret")).get)
    answer = await us.get(f"/automation-runs/{uuid4()}")
    assert answer.status_code == 500
    is_problem(answer, "internal-error")
    assert "secret" not in answer.text
    assert answer.json()["errorId"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_health_needs_no_credential(site: Site) -> None:
    async with site.client() as client:
        assert (await client.get(f"{site.url}/health")).json() == {"status": "ok"}
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.get("/health?deep=true")).json()["database"]["database"] == "sqlite"
        assert (await client.get(f"{site.url}/")).json()["openapi"] == "/openapi.json"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_no_page_loads_from_another_host(site: Site, path: str) -> None:
    async with site.client() as client:
        assert (await client.get(f"{site.url}{path}")).status_code == 404


async def test_a_body_that_breaks_off_is_no_fault_of_ours(us: Organization, caplog: pytest.LogCaptureFixture) -> None:
    host, port = us.site.url.removeprefix("http://").split(":")
    key = us.http.headers["x-api-key"]
    for framing in ("Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/v1/automations HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        writer.write((head + framing).encode())
        writer.write_eof()
        await reader.read()
        writer.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
