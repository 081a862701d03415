"""The header by which a request that is sent again counts once. Read and declared by hand: the framework takes long
over a header."""

from typing import Any

from fastapi import Request

from vai.api.problems import Invalid
from vai.ports import Fault

_MAX_KEY = 255


def header(description: str) -> dict[str, Any]:
    """The header as the OpenAPI document has it."""
    schema = {"type": "string", "minLength": 1, "maxLength": _MAX_KEY, "pattern": r"^[\x20-\x7e]*$"}
    return {"name": "Idempotency-Key", "in": "header", "required": False, "description": description, "schema": schema}


def key_of(request: Request) -> str | None:
    """The key that the request has. Raises Invalid."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
        message = f"An Idempotency-Key has 1 to {_MAX_KEY} printable ASCII characters."
        raise Invalid([Fault(("header", "Idempotency-Key"), message)])
    return key
