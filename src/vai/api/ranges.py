"""Which part of a content a request asks for (RFC 9110: `Range`, `If-Range`, `If-None-Match`)."""

import re
from collections.abc import Mapping

from starlette.responses import Response

_ONE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def content_response(content: bytes, etag: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    """The content, or the part of it that the request's headers `asked` ask for: 200, 206, 304 or 416.

    One range is served. Several, and what is not understood, count as none: the whole is always a good answer. Besides
    `headers` (with the Content-Type) the answer has its ETag.
    """
    common = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
    if _names(asked.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=common)
    found = _ONE.fullmatch(asked.get("range", ""))
    if found is None or asked.get("if-range", etag) != etag or not (found[1] or found[2]):
        return Response(content, headers=common)
    size = len(content)
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return Response(content, headers=common)  # not a range at all
    else:
        first, last = max(0, size - int(found[2])), size - 1
    if first > last:
        return Response(status_code=416, headers={**common, "Content-Range": f"bytes */{size}"})
    return Response(
        content[first : last + 1], status_code=206, headers={**common, "Content-Range": f"bytes {first}-{last}/{size}"}
    )


def _names(given: str, etag: str) -> bool:
    return given.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in given.split(",")]
