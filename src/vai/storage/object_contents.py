"""Contents of attached files in an object store, or on whatever fsspec opens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from vai.ports import ContentMissing, Draft
from vai.storage.contents import Drafts, pieces

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


class ObjectContents(Drafts):
    """See `Contents`. Drafts stand in a folder of this machine."""

    is_local = False

    def __init__(self, url: str, drafts: Path) -> None:
        super().__init__(drafts)
        self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._root = root.rstrip("/")

    @property
    def root(self) -> str:
        """Where they are; without what a URL may hold to sign in."""
        protocol = self._fs.protocol if isinstance(self._fs.protocol, str) else self._fs.protocol[0]
        return f"{protocol}://{self._root.rsplit('@', 1)[-1]}"

    def keep(self, draft: Draft, place: str) -> None:
        """See `Contents.keep`."""
        self._fs.makedirs(self._path(place).rsplit("/", 1)[0], exist_ok=True)
        self._fs.put_file(str(draft.path), self._path(place))
        self.discard(draft)

    def has(self, place: str) -> bool:
        """See `Contents.has`."""
        return bool(self._fs.exists(self._path(place)))

    def read(self, place: str, first: int, last: int) -> Iterator[bytes]:
        """See `Contents.read`."""
        try:
            file = self._fs.open(self._path(place), "rb")
        except FileNotFoundError:
            raise ContentMissing(place) from None
        return pieces(file, first, last)

    def remove(self, place: str) -> None:
        """See `Contents.remove`."""
        if self.has(place):
            self._fs.rm_file(self._path(place))

    def older(self, folder: str, than_seconds: float) -> Iterator[str]:
        """See `Contents.older`."""
        try:
            found = self._fs.find(self._path(folder), detail=True)
        except FileNotFoundError:
            return
        before = time.time() - than_seconds
        for path, about in found.items():
            written = _written_at(about)
            if written is not None and written < before:
                yield path[len(self._root) + 1 :]

    def check(self) -> None:
        """See `Contents.check`."""
        draft = self.draft(b"", 0)
        self.keep(draft, f".check/{draft.path.name}")
        self.remove(f".check/{draft.path.name}")

    def _path(self, place: str) -> str:
        return f"{self._root}/{place}"


def _written_at(about: dict[str, Any]) -> float | None:
    found = next((about[name] for name in _TIMES if about.get(name) is not None), None)
    return found.timestamp() if isinstance(found, datetime) else found
