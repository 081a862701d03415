"""Signs deliveries as their senders do."""

from __future__ import annotations

import base64
import hashlib
import hmac

KEY = b"a key of thirty-two bytes, or so"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def standard(body: bytes, at: float, name: str = "msg_1", key: bytes = KEY) -> dict[str, str]:
    """The headers of Standard Webhooks. `at`: seconds since 1970."""
    signed = hmac.new(key, f"{name}.{int(at)}.".encode() + body, hashlib.sha256).digest()
    stamp = {"webhook-id": name, "webhook-timestamp": str(int(at))}
    return {**stamp, "webhook-signature": f"v1,{base64.b64encode(signed).decode()}"}


def github(body: bytes, name: str = "d1", secret: str = SECRET) -> dict[str, str]:
    """GitHub's headers."""
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={signed}", "x-github-delivery": name, "x-github-event": "push"}


def stripe(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """Stripe's header."""
    signed = hmac.new(secret.encode(), f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={int(at)},v1={'0' * 64},v1={signed},v0=x"}
