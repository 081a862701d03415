"""What expressions see of a delivery: its body, read by its type, and those of its headers that tell no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from vai.definition import Faults, check_bounds
from vai.ports import Fault, UnreadableBody
from vai.runs import InvalidInput

_SHOWN = frozenset(
    {
        *("content-type", "user-agent", "webhook-id", "webhook-timestamp"),
        *("x-github-delivery", "x-github-event", "x-github-hook-id", "x-gitlab-event", "x-gitlab-event-uuid"),
        *("x-event-id", "x-event-key", "x-event-type", "x-request-id", "x-shopify-topic", "x-shopify-webhook-id"),
        *("ce-id", "ce-source", "ce-specversion", "ce-subject", "ce-time", "ce-type"),
    }
)
_MAX_HEADER = 1_000
_MAX_FIELDS = 1_000
_FORM = "application/x-www-form-urlencoded"


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that expressions may see: known ones, which hold neither signatures nor credentials."""
    found = {name: value[:_MAX_HEADER] for name, value in sorted(headers.items()) if name in _SHOWN}
    return {name: value.replace("\0", "") for name, value in found.items()}


def payload_of(scheme: str, headers: Mapping[str, str], body: bytes) -> Any:
    """The body as a value: JSON, a form as an object, text as it is; None without one. Raises UnreadableBody,
    InvalidInput."""
    if not body:
        return None
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _FORM:
        payload = _form(scheme, body)
    elif media_type in ("", "application/json") or media_type.endswith("+json"):
        payload = _json(body)
    elif media_type.startswith("text/"):
        payload = body.decode(errors="replace")
    else:
        raise UnreadableBody(f"A body is JSON, a form or text, not {media_type[:100]!r}.")
    faults = Faults()
    check_bounds(payload, faults)
    if faults:
        raise InvalidInput(faults.listed())
    return payload


def _json(body: bytes | str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInput([Fault((), f"The body is not JSON that can be read: {error}", "json_invalid")]) from None


def _form(scheme: str, body: bytes) -> Any:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput([Fault((), f"The body is no form that can be read: {error}.", "form_invalid")]) from None
    if scheme == "github" and list(fields) == ["payload"]:
        return _json(fields["payload"][0])  # its form has one field, with the JSON in it
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
