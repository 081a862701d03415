"""Webhooks over HTTP: what senders are answered, and what nobody is ever shown."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests import signing
from tests.api.site import Organization, step

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOOK = {"type": "webhook", "path": "orders/paid", "secret": signing.SECRET}
JSON = {"content-type": "application/json"}


async def hooked(us: Organization, **more: Any) -> dict[str, Any]:
    """The trigger of an automation that a delivery starts."""
    automation_id = await us.define(step("a", value="{{ payload.n }}"), triggers=[HOOK | more])
    trigger: dict[str, Any] = (await us.get(f"/automations/{automation_id}/triggers")).json()["items"][0]
    return trigger


async def send(us: Organization, body: bytes, headers: dict[str, str], path: str = "orders/paid") -> httpx.Response:
    async with us.site.client() as client:
        url = path if path.startswith("/") else f"/webhooks/{us.tenant_id}/{path}"
        return await client.post(us.site.url + url, content=body, headers=JSON | headers)


def signed(payload: Any = None, name: str = "msg_1") -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"n": 7} if payload is None else payload).encode()
    return body, signing.standard(body, time.time(), name)


async def test_a_delivery_is_answered_with_its_run(us: Organization) -> None:
    trigger = await hooked(us)
    assert trigger["url"] == f"/webhooks/{us.tenant_id}/orders/paid"
    answer = await send(us, *signed(), path=trigger["url"])
    assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    run = await us.final(answer.json()["runId"])
    assert (run["triggerType"], run["triggerSourceType"]) == ("webhook", "webhook")
    assert run["triggerSourceId"] == trigger["id"]
    steps = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    assert steps[0]["result"] == {"value": 7}
    again = await send(us, *signed())
    assert (again.status_code, again.json()) == (202, {"outcome": "known", "runId": run["id"]})
    automation = (await us.get(f"/automations/{trigger['automationId']}")).json()
    assert automation["triggerType"] == "webhook"


async def test_the_slug_of_the_organization_will_do(us: Organization) -> None:
    await hooked(us)
    organization = await us.site.system.doors.access.organization(us.tenant_id)
    assert (await send(us, *signed(), path=f"/webhooks/{organization['slug']}/orders/paid")).status_code == 202


async def test_github_and_forms(us: Organization) -> None:
    await hooked(us, signature="github", match="trigger.headers['x-github-event'] == 'push'")
    body = b"payload=%7B%22n%22%3A3%7D"
    headers = signing.github(body) | {"content-type": "application/x-www-form-urlencoded"}
    answer = await send(us, body, headers)
    assert answer.status_code == 202
    await us.final(answer.json()["runId"])
    ignored = await send(us, body, headers | {"x-github-event": "ping", "x-github-delivery": "d2"})
    assert (ignored.status_code, ignored.json()) == (200, {"outcome": "ignored", "runId": None})


async def test_what_is_refused(us: Organization) -> None:
    await hooked(us, input={"n": "{{ payload.n }}"})
    body, headers = signed()
    unsigned = await send(us, body, {})
    assert (unsigned.status_code, unsigned.json()["type"]) == (401, "/errors/bad-signature")
    other = await send(us, body + b" ", headers)
    assert (other.status_code, other.json()["type"]) == (401, "/errors/bad-signature")
    gone = await send(us, body, headers, "orders")
    nobody = await send(us, body, headers, f"/webhooks/{uuid4()}/orders/paid")
    assert gone.status_code == nobody.status_code == 404
    assert gone.json() == nobody.json()
    large = b'"' + b"x" * 1024 * 1024 + b'"'
    assert (await send(us, large, signing.standard(large, time.time()))).status_code == 413
    broken = b"{"
    assert (await send(us, broken, signing.standard(broken, time.time()))).status_code == 422
    empty, without = signed({})
    told = await send(us, empty, without)
    assert (told.status_code, told.json()["detail"][0]["loc"]) == (422, ["body"])
    xml = await send(us, body, headers | {"content-type": "application/xml"})
    assert xml.status_code == 415
    async with us.site.client() as client:
        assert (await client.get(f"{us.site.url}/webhooks/{us.tenant_id}/orders/paid")).status_code == 405


async def test_one_organization_knows_nothing_of_the_webhooks_of_another(us: Organization, them: Organization) -> None:
    await hooked(them)
    assert (await send(us, *signed())).status_code == 404
    mine = await hooked(us, secret="whsec_" + "QUJD" * 8)
    assert (await send(us, *signed())).status_code == 401
    assert (await send(them, *signed())).status_code == 202
    assert (await us.get(f"/automations/{mine['automationId']}/runs")).json()["total"] == 0


async def test_a_path_is_taken_once(us: Organization) -> None:
    await hooked(us)
    made = await us.post("/automations", json={"name": "second", "config": {"steps": [], "triggers": [HOOK]}})
    refused = await us.post(f"/automations/{made.json()['id']}/versions/1/publish")
    assert (refused.status_code, refused.json()["type"]) == (409, "/errors/path-taken")


async def test_a_paused_one_is_not_there(us: Organization) -> None:
    trigger = await hooked(us)
    await us.post(f"/triggers/{trigger['id']}/pause")
    assert (await send(us, *signed())).status_code == 404
    await us.post(f"/triggers/{trigger['id']}/resume")
    assert (await send(us, *signed())).status_code == 202


async def test_no_secret_and_no_signature_is_ever_shown(us: Organization, caplog: pytest.LogCaptureFixture) -> None:
    trigger = await hooked(us)
    body, headers = signed()
    run_id = (await send(us, body, headers | {"authorization": "Bearer hush-hush"})).json()["runId"]
    await send(us, body + b" ", headers)
    await us.final(run_id)
    automation = f"/automations/{trigger['automationId']}"
    paths = [
        automation,
        f"{automation}/versions",
        f"{automation}/triggers",
        f"/triggers/{trigger['id']}",
        "/automations",
    ]
    paths += ["/automations", "/events", f"/automation-runs/{run_id}", f"/automation-runs/{run_id}/steps"]
    told = [(await us.get(path)).text for path in paths] + [json.dumps(await us.log(run_id)), caplog.text]
    told.append(str(await us.site.system.store.versions(us.tenant_id, trigger["automationId"])))
    told.append(str(await us.site.system.store.trigger(us.tenant_id, trigger["id"])))
    for secret in (signing.SECRET, signing.SECRET[6:], headers["webhook-signature"], "hush-hush"):
        assert not any(secret in text for text in told)
    shown = (await us.get(automation)).json()["config"]
    assert shown["triggers"][0]["secret"] == trigger["config"]["secret"] == "***"
    await us.http.patch(automation, json={"config": shown})
    await us.post(f"{automation}/versions/2/publish")
    assert (await send(us, *signed(name="msg_2"))).status_code == 202


async def test_what_stands_for_a_secret_goes_by_the_key_of_its_trigger(us: Organization) -> None:
    trigger = await hooked(us)
    for given, place in (({"key": "other", "secret": "***"}, "***"), ({"secret": "sealed:abc"}, "sealed:")):
        config = {"steps": [], "triggers": [HOOK | given]}
        answer = await us.http.patch(f"/automations/{trigger['automationId']}", json={"config": config})
        assert answer.status_code == 422
        (fault,) = answer.json()["detail"]
        assert fault["loc"] == ["body", "config", "triggers", 0, "secret"]
        assert place in fault["msg"]
