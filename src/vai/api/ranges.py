"""Which part of a content a request asks for (RFC 9110: `Range`, `If-Range`, `If-None-Match`)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_ONE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Part(NamedTuple):
    """How a request is answered: 200, 206, 304 or 416, and the bytes from `first` to `last`, if there are any."""

    status: int
    first: int = 0
    last: int = -1

    @property
    def size(self) -> int:
        """How many bytes that are."""
        return self.last - self.first + 1


def asked_part(size: int, etag: str, asked: Mapping[str, str]) -> Part:
    """The part of a content of `size` bytes that the request's headers `asked` ask for.

    One range is served. Several, and what is not understood, count as none: the whole is always a good answer.
    """
    whole = Part(200, 0, size - 1)
    if _names(asked.get("if-none-match", ""), etag):
        return Part(304)
    found = _ONE.fullmatch(asked.get("range", ""))
    if found is None or asked.get("if-range", etag) != etag or not (found[1] or found[2]):
        return whole
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return whole  # not a range at all
    else:
        first, last = max(0, size - int(found[2])), size - 1
    return Part(206, first, last) if first <= last else Part(416)


def headers_of(part: Part, size: int, etag: str) -> dict[str, str]:
    """The headers of that answer beside those of the content."""
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    if part.status == 206:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    if part.status == 416:
        headers["Content-Range"] = f"bytes */{size}"
    if part.status in (200, 206):
        headers["Content-Length"] = str(part.size)
    return headers


def _names(given: str, etag: str) -> bool:
    return given.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in given.split(",")]
