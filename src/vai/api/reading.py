"""Reading a request's JSON body: bounded, strict, and every fault in the documented form."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from vai.api.doors import options_of
from vai.api.problems import Invalid, Problem, faults_of
from vai.ports import Fault

Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH = 100
"""Objects and arrays within one another; what walks a body later must not run out of stack."""

_PATIENCE = 4
"""So many times the limit are read, and forgotten, of a body that is too large."""

_decode = msgspec.json.Decoder().decode


async def read(request: Request, model: type[Model]) -> Model:
    """The body as a value of `model`; no body at all counts as `{}`.

    Raises Invalid with every fault, or Problem when it is too large or not sent as JSON.
    """
    raw = await read_bytes(request, options_of(request.app).max_body_bytes)
    try:
        return model.model_validate(_parsed(request, raw) if raw else {})
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_context=False, include_input=False), ("body",))
        raise Invalid(faults) from None


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body as it came. One that is too large is read to its end within bounds, else the client never sees the
    answer: Problem 413."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > limit * _PATIENCE):
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in _chunks(request):
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > limit * _PATIENCE:
            break
        else:
            chunks.clear()
    if size > limit:
        raise _too_large(limit)
    return b"".join(chunks)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        # Nobody reads the answer; it is no fault of ours either, which the log would have to tell.
        raise Problem(400, "body-cut-off", "The connection ended before the body did.") from None


def _too_large(limit: int) -> Problem:
    # The rest of the body may not have been read, so the connection cannot be used again.
    detail = f"The body is larger than {limit} bytes. Put large data where steps can fetch it, and send its place."
    return Problem(413, "body-too-large", detail, headers={"Connection": "close"}, more={"limitBytes": limit})


def _parsed(request: Request, raw: bytes) -> Any:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = (
            f"The body has to be JSON with the header Content-Type: application/json, not {media_type or 'none'!r}."
        )
        raise Problem(415, "unsupported-media-type", detail)
    try:
        data = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(f"The body is not JSON that can be read: {error}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and isinstance(data, dict | list) and _is_deep(data):
        raise _malformed(f"The body has more than {MAX_DEPTH} objects or arrays within one another.")
    return data


def _malformed(message: str) -> Invalid:
    return Invalid([Fault(("body",), message, "json_invalid")])


def _is_deep(data: Any) -> bool:
    """True when containers are nested more than MAX_DEPTH deep; level by level, so it needs no stack itself."""
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(container: Any) -> list[Any]:
    values = container.values() if isinstance(container, dict) else container
    return [value for value in values if isinstance(value, dict | list)]
