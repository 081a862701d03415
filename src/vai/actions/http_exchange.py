"""One HTTP exchange with httpx, its failures told in sentences that never show a secret."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from vai.actions.checking import ref_of
from vai.actions.http_request import HttpDefinition
from vai.actions.http_sign_in import full_url, sign_in
from vai.ports import MEDIA_TYPE, ActionContext, ActionFailed

PREVIEW_CHARACTERS = 500
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
RETRYABLE_STATUSES = frozenset({408, 425, 429})
HIDDEN = "***"
HIDDEN_ANSWERS = frozenset({"set-cookie", "www-authenticate", "proxy-authenticate"})


class Exchange:
    """Sends requests. The TLS settings, slow to make, are shared; connections are not."""

    def __init__(self, traces: bool = False) -> None:
        self._traces = traces
        self._tls: ssl.SSLContext = httpx.create_ssl_context()

    async def send(self, definition: HttpDefinition, context: ActionContext) -> dict[str, Any]:
        """The result. Raises ActionFailed."""
        began = time.perf_counter()
        try:
            request = _request(definition, context)
            if self._traces:
                request.headers.setdefault("traceparent", context.traceparent)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ActionFailed("invalid_definition", f"The request cannot be made: {error}") from None
        shown = f"{request.method} {_shown_url(request.url)}"
        try:
            async with asyncio.timeout(definition.timeout_seconds):
                response, content = await self._exchange(request, definition, shown)
        except (TimeoutError, httpx.TimeoutException):
            sentence = f"{shown} took longer than {definition.timeout_seconds:g} seconds."
            raise ActionFailed("timeout", sentence, retryable=True) from None
        except httpx.TransportError as error:
            reason = _scrub(str(error) or type(error).__name__, request, definition)
            sentence = f"{shown} could not be sent: {reason}"
            raise ActionFailed("connection_error", sentence, retryable=True) from None
        if not _is_expected(response.status_code, definition):
            raise _refused(shown, response, _scrub(_text(response, content), request, definition))
        seconds = time.perf_counter() - began
        if definition.save_as is None:
            return _result(response, content, seconds)
        return {**_answered(response, seconds), "file": await _kept(response, content, definition.save_as, context)}

    async def _exchange(
        self, request: httpx.Request, definition: HttpDefinition, shown: str
    ) -> tuple[httpx.Response, bytes]:
        async with httpx.AsyncClient(
            verify=self._tls, timeout=definition.timeout_seconds, follow_redirects=definition.follow_redirects
        ) as client:
            try:
                response = await client.send(request, stream=True)
            except httpx.TooManyRedirects:
                raise ActionFailed("http_3xx", f"{shown} was redirected too many times.") from None
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > definition.max_response_bytes:
                    limit = definition.max_response_bytes
                    sentence = f"{shown} answered more than {limit} bytes (maxResponseBytes)."
                    raise ActionFailed("response_too_large", sentence, details={"limit": limit})
            await response.aclose()
            return response, bytes(content)


def _request(definition: HttpDefinition, context: ActionContext) -> httpx.Request:
    ref = ref_of(definition.connection_ref)
    connection = None if ref is None else context.connection(ref)
    address = full_url(definition.url, connection)
    headers = httpx.Headers(definition.headers)
    if connection is not None:
        headers.update(sign_in(connection))
    content = None
    if definition.json_ is not None:
        content = msgspec.json.encode(definition.json_)
        headers.setdefault("Content-Type", "application/json")
    elif definition.body is not None:
        content = definition.body.encode()
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    if definition.method not in SAFE_METHODS:
        headers.setdefault("Idempotency-Key", context.idempotency_key)
    headers.setdefault("User-Agent", "vai")
    url = httpx.URL(address)
    if query := {name: value for name, value in definition.query.items() if value is not None}:
        url = url.copy_merge_params(query)
    return httpx.Request(definition.method, url, headers=headers, content=content)


def _shown_url(url: httpx.URL) -> str:
    """Without credentials and query, where keys often stand."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"


def _scrub(text: str, request: httpx.Request, definition: HttpDefinition) -> str:
    """Servers echo what they were sent: headers, query and credentials must not come back that way."""
    secrets = {*definition.headers.values(), request.url.password, request.url.username}
    secrets |= {value.split(" ", 1)[1] for value in definition.headers.values() if " " in value}
    secrets |= {str(value) for value in definition.query.values()}
    for secret in sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _is_expected(status: int, definition: HttpDefinition) -> bool:
    if definition.expected_statuses is None:
        return 200 <= status < 300
    return status in definition.expected_statuses


def _refused(shown: str, response: httpx.Response, text: str) -> ActionFailed:
    status = response.status_code
    error_type = "http_429" if status == 429 else f"http_{status // 100}xx"
    reason = f" {response.reason_phrase}" if response.reason_phrase else ""
    return ActionFailed(
        error_type,
        f"{shown} answered {status}{reason}.",
        retryable=status >= 500 or status in RETRYABLE_STATUSES,
        details={"status": status, "body": text[:PREVIEW_CHARACTERS]},
        retry_after_seconds=retry_after(response.headers, datetime.now(UTC)),
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The header Retry-After, seconds or a date, as seconds from `now`; None without it."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def _text(response: httpx.Response, content: bytes) -> str:
    return content.decode(response.charset_encoding or "utf-8", errors="replace")


async def _kept(response: httpx.Response, content: bytes, name: str, context: ActionContext) -> dict[str, Any]:
    """The body as a file, of the type that the server says, if that is one."""
    said = response.headers.get("content-type", "")
    media_type = said if MEDIA_TYPE.fullmatch(said) else None
    return await asyncio.to_thread(context.attach, content, name=name, media_type=media_type)


def _answered(response: httpx.Response, seconds: float) -> dict[str, Any]:
    headers = {name: value for name, value in response.headers.items() if name not in HIDDEN_ANSWERS}
    return {"status": response.status_code, "headers": headers, "elapsedSeconds": round(seconds, 3)}


def _result(response: httpx.Response, content: bytes, seconds: float) -> dict[str, Any]:
    result = _answered(response, seconds)
    if "json" in response.headers.get("content-type", "") and content:
        try:
            return {**result, "json": msgspec.json.decode(content)}
        except msgspec.DecodeError:
            pass  # it said JSON and sent something else: the text tells what
    return {**result, "text": _text(response, content)}
