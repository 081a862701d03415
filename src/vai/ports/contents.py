"""Files that actions attach: where their contents lie, and what the store knows of them."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec

from vai.ports.actions import ActionFailed
from vai.ports.records import ArtifactRecord


class ContentMissing(Exception):
    """The place holds no such content."""


class ContentTooLarge(Exception):
    """A file has more bytes than it may have."""


class Draft(msgspec.Struct, frozen=True):
    """A copy of a content that has no place yet: a file of this machine, its size in bytes and its hash."""

    path: Path
    size_bytes: int
    sha256: str


class Contents(Protocol):
    """Contents by their places, which are paths below the root: a folder, or a part of an object store. A place is
    written once, never changed, and never used again. Everything blocks; safe to use from any thread.

    All may raise OSError, or what the library of an object store raises.
    """

    @property
    def root(self) -> str:
        """Where they are, for people."""
        ...

    @property
    def is_local(self) -> bool:
        """True for a folder of this machine, which others may or may not share."""
        ...

    def draft(self, source: Path | bytes, most_bytes: int) -> Draft:
        """A copy of a file, or of bytes. Raises ContentTooLarge, and ValueError when the path is no ordinary file."""
        ...

    def keep(self, draft: Draft, place: str) -> None:
        """Put the draft into this new place; when this returns it survives the loss of power."""
        ...

    def discard(self, draft: Draft) -> None:
        """Remove the draft, if it is still there."""
        ...

    def has(self, place: str) -> bool:
        """Whether there is a content."""
        ...

    def read(self, place: str, first: int, last: int) -> Iterator[bytes]:
        """The bytes from `first` to `last`, both counted, in pieces. Raises ContentMissing before the first piece."""
        ...

    def remove(self, place: str) -> None:
        """Remove the content; nothing happens if it is gone."""
        ...

    def older(self, folder: str, than_seconds: float) -> Iterator[str]:
        """The places in a folder that were written longer ago than that."""
        ...

    def tidy(self, than_seconds: float) -> None:
        """Remove drafts that were left longer ago than that."""
        ...

    def check(self) -> None:
        """Write something and remove it again."""
        ...


class NotKept(Enum):
    """Why the store did not take an attachment."""

    NOT_AT_WORK = "not_at_work"  # its step does not run, or not in this try
    GONE = "gone"  # nothing names the place any more, so that it is about to be removed
    TOO_MANY = "too_many"
    TOO_LARGE = "too_large"


class Attachment(msgspec.Struct, frozen=True):
    """A file to be named by a step at work in its try `try_number`. `is_new`: its content was written for it."""

    artifact: ArtifactRecord
    try_number: int
    is_new: bool
    most_files: int  # of the step in this attempt of the run
    most_bytes: int


class AttachmentStore(Protocol):
    """The rows of attached files. A content is removed in two steps: the row that names it leaves its place in a list,
    and who sweeps the list removes what no other row names. A place that nothing names is never named again."""

    async def place_of(self, tenant_id: str, sha256: str) -> str | None:
        """Where the tenant has a content with this hash, or None."""
        ...

    async def attach(self, attachment: Attachment) -> ArtifactRecord | NotKept:
        """Name a file. One of the same step and name gives way to it, and answers instead if it is the same."""
        ...

    async def unnamed(self, limit: int) -> Sequence[str]:
        """Places of the list that nothing names."""
        ...

    async def forget(self, places: Sequence[str]) -> None:
        """The contents in these places are removed."""
        ...

    async def known(self, places: Sequence[str]) -> Collection[str]:
        """Which of these places are named, or in the list."""
        ...


class Label(msgspec.Struct, frozen=True):
    """What a file is called, and what it is."""

    name: str
    media_type: str


_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f]{1,255}")
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_.:+-]+)*")


def label_of(source: str | Path | bytes, name: str | None, media_type: str | None) -> Label:
    """The label of a file to be attached: its name is by default the path's last part, and its type what the name
    says. Raises ActionFailed `bad_attachment`."""
    if name is None:
        if isinstance(source, bytes):
            raise ActionFailed("bad_attachment", "Bytes need a name: attach(data, name=…).")
        name = Path(source).name
    if not _NAME.fullmatch(name) or name in (".", "..") or not _is_text(name):
        raise ActionFailed(
            "bad_attachment", "A file's name has 1 to 255 characters, no slash and no control character."
        )
    media_type = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if len(media_type) > 255 or not MEDIA_TYPE.fullmatch(media_type):
        raise ActionFailed("bad_attachment", "A media type is as text/csv or text/html; charset=utf-8.")
    return Label(name, media_type)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return False
    return True


class FileBounds(msgspec.Struct, frozen=True):
    """What a step may attach in one attempt of its run."""

    files: int = 100
    bytes: int = 1 << 30


ORPHAN_SECONDS = 86_400
"""How old a content has to be that nothing names before it is taken for left over from a crash."""
