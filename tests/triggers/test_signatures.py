"""Signatures of deliveries: what is signed passes, and nothing else does, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import signing
from vai.ports import BadSignature
from vai.triggers.signatures import WINDOW_MS, verify

NOW = 1_760_000_000
Signer = Callable[[bytes], dict[str, str]]
SIGNERS: dict[str, Signer] = {
    "standard": lambda body: signing.standard(body, NOW),
    "github": signing.github,
    "stripe": lambda body: signing.stripe(body, NOW),
}
SIGNATURES = {"standard": "webhook-signature", "github": "x-hub-signature-256", "stripe": "stripe-signature"}
schemes = st.sampled_from(sorted(SIGNERS))
texts = st.text(st.characters(max_codepoint=255), max_size=100)


def passes(scheme: str, headers: dict[str, str], body: bytes, now: int = NOW, secret: str = signing.SECRET) -> bool:
    try:
        verify(scheme, secret, headers, body, now * 1000)
    except BadSignature:
        return False
    return True


def test_the_example_of_standard_webhooks() -> None:
    """From the specification's own test vectors."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = verify("standard", secret, headers, b'{"test": 2432232314}', 1614265330_000)
    assert found == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_example_of_github() -> None:
    """From GitHub's documentation."""
    signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signed, "x-github-delivery": "72d3162e"}
    assert verify("github", "It's a Secret to Everybody", headers, b"Hello, World!", 0) == "72d3162e"


@given(schemes, st.binary(max_size=200))
def test_what_is_signed_passes(scheme: str, body: bytes) -> None:
    assert passes(scheme, SIGNERS[scheme](body), body)


@given(schemes, st.binary(max_size=50), st.binary(max_size=50))
def test_another_body_does_not(scheme: str, body: bytes, other: bytes) -> None:
    assert passes(scheme, SIGNERS[scheme](body), other) is (body == other)


@given(schemes, st.dictionaries(st.sampled_from([*SIGNATURES.values(), "webhook-id", "webhook-timestamp"]), texts))
def test_what_is_made_up_is_refused_and_breaks_nothing(scheme: str, made_up: dict[str, str]) -> None:
    assert not passes(scheme, made_up, b"{}")
    if SIGNATURES[scheme] in made_up:
        assert not passes(scheme, SIGNERS[scheme](b"{}") | made_up, b"{}")


@pytest.mark.parametrize("scheme", sorted(SIGNERS))
def test_another_secret_does_not_do(scheme: str) -> None:
    other = "whsec_" + "QUJD" * 8
    assert not passes(scheme, SIGNERS[scheme](b"{}"), b"{}", secret=other)


@pytest.mark.parametrize("scheme", sorted(SIGNERS))
def test_a_cut_signature_does_not_do(scheme: str) -> None:
    name, headers = SIGNATURES[scheme], SIGNERS[scheme](b"{}")
    whole = headers[name].removesuffix(",v0=x")
    for length in range(len(whole)):
        assert not passes(scheme, {**headers, name: whole[:length]}, b"{}")


@pytest.mark.parametrize("scheme", ["standard", "stripe"])
@pytest.mark.parametrize("seconds, fits", [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_an_old_or_early_delivery_is_refused(scheme: str, seconds: int, fits: bool) -> None:
    assert WINDOW_MS == 300_000
    assert passes(scheme, SIGNERS[scheme](b"{}"), b"{}", NOW + seconds) is fits


def test_one_of_several_signatures_is_enough() -> None:
    headers = signing.standard(b"{}", NOW)
    good = headers["webhook-signature"]
    other = signing.standard(b"{}", NOW, key=b"x" * 32)["webhook-signature"]
    assert passes("standard", {**headers, "webhook-signature": f"v1a,xyz {other} {good}"}, b"{}")
    assert not passes("standard", {**headers, "webhook-signature": f"v1a,xyz {other} {good[3:]} v2,{good[3:]}"}, b"{}")
    assert not passes("standard", {**headers, "webhook-signature": " ".join([other] * 20 + [good])}, b"{}")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed_and_signed(name: str) -> None:
    headers = signing.standard(b"{}", NOW)
    assert not passes("standard", {key: value for key, value in headers.items() if key != name}, b"{}")
    assert not passes("standard", {**headers, name: headers[name] + "0"}, b"{}")


def test_nobody_signs_where_nothing_is_asked_for() -> None:
    assert verify("none", "", {}, b"x", 0) is None
    assert verify("none", "", {"webhook-id": "a", "idempotency-key": "b"}, b"x", 0) == "a"
    assert verify("none", "", {"idempotency-key": "b"}, b"x", 0) == "b"
