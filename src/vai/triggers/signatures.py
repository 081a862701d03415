"""Signatures of deliveries: whether one comes from somebody who knows the webhook's secret. Of the body, its bytes as
they came are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from vai.definition import key_in
from vai.domain.state import Instant
from vai.ports import BadSignature

WINDOW_MS = 300_000
"""A delivery whose time stamp is further from now may be an old one that somebody sends again."""
_MANY = 20  # signatures of one delivery that are looked at

Headers = Mapping[str, str]


def verify(scheme: str, secret: str, headers: Headers, body: bytes, now: Instant) -> str | None:
    """The sender's own id of the delivery, if the scheme's headers have one. Raises BadSignature."""
    return _SCHEMES[scheme](secret, headers, body, now)


def _standard(secret: str, headers: Headers, body: bytes, now: Instant) -> str | None:
    """https://www.standardwebhooks.com: `v1,` and base64 of HMAC-SHA256 over id, time stamp and body."""
    key = key_in(secret)
    if key is None:
        raise BadSignature("The webhook's secret is not one of Standard Webhooks.")
    name, stamp = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    _check_time(stamp, now)
    expected = _hmac(key, name.encode("latin-1", "replace"), stamp.encode(), body)
    given = _header(headers, "webhook-signature").split()
    _check(base64.b64encode(expected).decode(), (sent.removeprefix("v1,") for sent in given if sent.startswith("v1,")))
    return name


def _github(secret: str, headers: Headers, body: bytes, _: Instant) -> str | None:
    given = _header(headers, "x-hub-signature-256")
    _check(_hmac(secret.encode(), body).hex(), [given.removeprefix("sha256=")] if given.startswith("sha256=") else [])
    return headers.get("x-github-delivery")


def _stripe(secret: str, headers: Headers, body: bytes, now: Instant) -> str | None:
    fields = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
    stamp = next((value for name, _, value in fields if name == "t"), "")
    _check_time(stamp, now)
    _check(_hmac(secret.encode(), stamp.encode(), body).hex(), (value for name, _, value in fields if name == "v1"))
    return None  # it stands in the body


def _none(_: str, headers: Headers, __: bytes, ___: Instant) -> str | None:
    return headers.get("webhook-id") or headers.get("idempotency-key")


_SCHEMES: Mapping[str, Callable[[str, Headers, bytes, Instant], str | None]] = {
    "standard": _standard,
    "github": _github,
    "stripe": _stripe,
    "none": _none,
}


def _header(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadSignature(f"The header {name} is missing.")
    return value


def _check_time(stamp: str, now: Instant) -> None:
    """`stamp`: seconds since 1970."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise BadSignature("The signature's time stamp is no number of seconds.")
    if abs(int(stamp) * 1000 - now) > WINDOW_MS:
        raise BadSignature("The signature's time stamp is more than five minutes from now.")


def _hmac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b".".join(parts), hashlib.sha256).digest()


def _check(expected: str, given: Iterable[str]) -> None:
    # Each takes the same time, however much of it is right.
    sent = [text.encode("latin-1", "replace") for text in islice(given, _MANY)]
    if not any(hmac.compare_digest(expected.encode(), one) for one in sent):
        raise BadSignature("No signature fits the body and the secret.")
