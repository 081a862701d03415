"""What expressions see of a delivery."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vai.ports import UnreadableBody
from vai.runs import InvalidInput
from vai.triggers.bodies import payload_of, shown_headers

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "kind, body, payload",
    [
        ("application/json", b'{"n": 1}', {"n": 1}),
        ("application/json; charset=utf-8", b"[1]", [1]),
        ("application/cloudevents+json", b"null", None),
        (None, b'"x"', "x"),
        ("", b"7", 7),
        ("application/json", b"", None),
        (FORM, b"a=1&b=&a=2&c=%C3%A4", {"a": ["1", "2"], "b": "", "c": "ä"}),
        ("text/plain", b"hello", "hello"),
        ("text/plain", b"\xff", "�"),
    ],
)
def test_bodies_are_read_by_their_type(kind: str | None, body: bytes, payload: Any) -> None:
    assert payload_of("standard", {} if kind is None else {"content-type": kind}, body) == payload


def test_the_form_of_github_holds_json() -> None:
    body = b"payload=" + quote('{"n": 1}').encode()
    assert payload_of("github", {"content-type": FORM}, body) == {"n": 1}
    assert payload_of("standard", {"content-type": FORM}, body) == {"payload": '{"n": 1}'}


@pytest.mark.parametrize(
    "kind, body",
    [
        ("application/json", b"{"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[" * 65 + b"]" * 65),
        ("application/json", b'"\\u0000"'),
        ("application/json", b"123456789012345678901234567890"),
        (FORM, b"a=%00"),
        (FORM, b"&".join(b"a=1" for _ in range(1_001))),
        (FORM, b"\xff=1"),
        ("text/plain", b"\0"),
    ],
)
def test_what_cannot_be_kept_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        payload_of("standard", {"content-type": kind}, body)


def test_other_types_are_refused() -> None:
    with pytest.raises(UnreadableBody):
        payload_of("standard", {"content-type": "multipart/form-data; boundary=x"}, b"x")


@given(st.sampled_from(["application/json", FORM, "text/plain"]), st.sampled_from(["standard", "github"]), st.binary())
def test_no_body_breaks_anything(kind: str, scheme: str, body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        payload_of(scheme, {"content-type": kind}, body)


def test_headers_that_tell_secrets_are_not_seen() -> None:
    secret = ["authorization", "cookie", "webhook-signature", "x-hub-signature-256", "stripe-signature", "x-api-key"]
    given_ones = dict.fromkeys([*secret, "x-gitlab-token", "x-amz-security-token"], "s3cret")
    told = {"content-type": "application/json", "user-agent": "a\0" + "b" * 2_000, "x-github-event": "push"}
    assert shown_headers({**given_ones, **told}) == {**told, "user-agent": "a" + "b" * 998}
