"""Who may call: three credentials, the first one present decides, and cookies change things from home only."""

from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.api.site import Organization, Site, step
from vai.ports import StoreUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def token_of(us: Organization) -> str:
    """A session's token, as the cookie holds it."""
    opened = await us.post("/auth/session")
    assert opened.status_code == 200
    us.http.cookies.clear()
    return str(opened.cookies["vai_token"])


def headers(**sent: str | None) -> dict[str, str]:
    names = {"bearer": "Authorization", "key": "X-API-Key", "cookie": "Cookie"}
    forms = {"bearer": "Bearer {}", "key": "{}", "cookie": "vai_token={}"}
    return {names[name]: forms[name].format(value) for name, value in sent.items() if value is not None}


@pytest.mark.parametrize("bearer", ["good", "bad", None])
@pytest.mark.parametrize("key", ["good", "bad", None])
@pytest.mark.parametrize("cookie", ["good", "bad", None])
async def test_the_first_credential_present_decides(
    site: Site, us: Organization, bearer: str | None, key: str | None, cookie: str | None
) -> None:
    good = {"bearer": us.key, "key": us.key, "cookie": await token_of(us)}
    given = {"bearer": bearer, "key": key, "cookie": cookie}
    sent = {name: good[name] if value == "good" else value for name, value in given.items()}
    decides = next((value for value in given.values() if value is not None), None)
    async with site.client(**headers(**sent)) as client:
        answer = await client.get("/auth/me")
    assert answer.status_code == (200 if decides == "good" else 401)
    if decides != "good":
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "/errors/unauthenticated"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic dTpw", "nonsense", "Bearer é", "bearer\tx"])
async def test_an_authorization_header_that_is_no_bearer_is_not_passed_over(
    site: Site, us: Organization, authorization: str
) -> None:
    raw = {"Authorization": authorization.encode("latin-1"), "X-API-Key": us.key.encode()}
    async with site.client() as client:
        answer = await client.get("/auth/me", headers=raw)  # type: ignore[arg-type]
    assert answer.status_code == 401


async def test_bearer_is_read_in_any_case_of_letters(site: Site, us: Organization) -> None:
    async with site.client(Authorization=f"bEARER {us.key}") as client:
        assert (await client.get("/auth/me")).status_code == 200


@pytest.mark.parametrize(
    "credential, method, token_type, trigger",
    [
        ("bearer", "bearer", "api_key", "api_key"),
        ("key", "api_key", "api_key", "api_key"),
        ("cookie", "cookie", "session", "user"),
    ],
)
async def test_who_the_caller_is(
    site: Site, us: Organization, credential: str, method: str, token_type: str, trigger: str
) -> None:
    secret = await token_of(us) if credential == "cookie" else us.key
    automation_id = await us.define(step("a"))
    async with site.client(**headers(**{credential: secret})) as client:
        me = (await client.get("/auth/me")).json()
        run = (await client.post(f"/automations/{automation_id}/runs")).json()
    assert (me["session"]["authMethod"], me["session"]["tokenType"]) == (method, token_type)
    assert me["session"]["organizationId"] == me["session"]["organization"]["id"] == us.tenant_id
    assert (run["triggerSourceType"], run["triggerSourceId"]) == (trigger, me["session"]["sessionId"])


# --- sessions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["bearer", "key", "body"])
async def test_a_session_is_opened_with_a_key_from_any_place(site: Site, us: Organization, place: str) -> None:
    sent = {} if place == "body" else headers(**{place: us.key})
    body: dict[str, Any] = {"json": {"apiKey": us.key}} if place == "body" else {}
    async with site.client(**sent) as client:
        opened = await client.post("/auth/session", **body)
    assert opened.status_code == 200
    assert opened.json()["expiresAt"].endswith("Z")
    morsel = SimpleCookie(opened.headers["set-cookie"])["vai_token"]
    assert (morsel["httponly"], morsel["samesite"].lower(), morsel["path"]) == (True, "lax", "/")
    assert not morsel["secure"]
    assert 0 < int(morsel["max-age"]) <= 7 * 24 * 3600
    assert opened.headers["cache-control"] == "no-store"


async def test_the_cookie_is_secure_over_https(site: Site, us: Organization) -> None:
    async with site.client(**headers(key=us.key), **{"X-Forwarded-Proto": "https"}) as client:
        opened = await client.post("/auth/session")
    assert SimpleCookie(opened.headers["set-cookie"])["vai_token"]["secure"]


@pytest.mark.parametrize("key", [None, "", "nonsense"])
async def test_no_session_without_a_good_key(site: Site, key: str | None) -> None:
    async with site.client() as client:
        refused = await client.post("/auth/session", json={"apiKey": key})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers


async def test_a_session_ends_with_the_key_that_opened_it(site: Site, us: Organization) -> None:
    access = site.system.doors.access
    secret = await access.create_api_key(us.tenant_id, "parent")
    token, _ = await access.open_session(secret)
    async with site.client(Cookie=f"vai_token={token}") as client:
        assert (await client.get("/auth/me")).status_code == 200
        assert await access.revoke(us.tenant_id, (await access.authenticate(secret)).source_id)
        assert (await client.get("/auth/me")).status_code == 401


async def test_a_session_opens_no_other_session(site: Site, us: Organization) -> None:
    async with site.client(**headers(bearer=await token_of(us))) as client:
        assert (await client.post("/auth/session")).status_code == 403


async def test_after_signing_out_the_token_is_useless(site: Site, us: Organization) -> None:
    token = await token_of(us)
    async with site.client(**headers(cookie=token)) as client:
        assert (await client.get("/auth/me")).status_code == 200
        out = await client.delete("/auth/session")
        assert out.status_code == 204
        assert SimpleCookie(out.headers["set-cookie"])["vai_token"]["max-age"] == "0"
        assert (await client.get("/auth/me")).status_code == 401
        assert (await client.delete("/auth/session")).status_code == 204


# --- other sites' pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent, allowed",
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, False),
        ({"Origin": "{own}"}, True),
        ({"Origin": "https://{host}"}, True),
        ({"Origin": "http://elsewhere.example"}, False),
        ({"Origin": "http://{host}.elsewhere.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
async def test_by_cookie_only_our_own_pages_change_something(
    site: Site, us: Organization, sent: dict[str, str], allowed: bool
) -> None:
    host = site.url.removeprefix("http://")
    run = await us.finished(step("a"))
    filled = {name: value.format(own=site.url, host=host) for name, value in sent.items()}
    path = f"/automation-runs/{run['id']}/cancel"
    async with site.client(**headers(cookie=await token_of(us)), **filled) as client:
        answer = await client.post(path)
        assert answer.status_code == (200 if allowed else 403)
        assert (await client.get(f"/automation-runs/{run['id']}")).status_code == 200
        assert (await client.delete("/auth/session")).status_code == (204 if allowed else 403)
    async with site.client(**headers(bearer=us.key), **filled) as client:
        assert (await client.post(path)).status_code == 200


async def test_reading_goes_on_where_nothing_can_be_written(
    site: Site, us: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noting that a key was used must not refuse the request."""

    async def full(*_: Any) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(site.system.store, "touch_api_key", full)
    async with site.client(**headers(key=us.key)) as client:
        assert (await client.get("/automation-runs")).status_code == 200
