"""Contents of attached files in a folder: written aside, flushed, and then given their name."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from uuid_utils import uuid7

from vai.ports import ContentMissing, ContentTooLarge, Draft
from vai.storage.copying import flush

PIECE = 256 * 1024
_DRAFTS = ".drafts"


class Drafts:
    """Copies on this machine, before they have a place."""

    def __init__(self, folder: Path) -> None:
        self._drafts = folder / _DRAFTS

    def draft(self, source: Path | bytes, most_bytes: int) -> Draft:
        """See `Contents.draft`."""
        self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._drafts / str(uuid7())
        try:
            with _opened(source) as file, open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
                size, digest = _copy(file, to, most_bytes)
                to.flush()
                os.fsync(to.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Draft(path, size, digest)

    def discard(self, draft: Draft) -> None:
        """See `Contents.discard`."""
        draft.path.unlink(missing_ok=True)

    def tidy(self, than_seconds: float) -> None:
        """See `Contents.tidy`."""
        for path in tuple(_files(self._drafts, than_seconds)):
            path.unlink(missing_ok=True)


class LocalContents(Drafts):
    """See `Contents`."""

    is_local = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = folder

    @property
    def root(self) -> str:
        """The folder."""
        return str(self._root.absolute())

    def keep(self, draft: Draft, place: str) -> None:
        """See `Contents.keep`."""
        path = self._root / place
        _make_folder(path.parent)
        draft.path.rename(path)
        flush(path.parent)

    def has(self, place: str) -> bool:
        """See `Contents.has`."""
        return (self._root / place).is_file()

    def read(self, place: str, first: int, last: int) -> Iterator[bytes]:
        """See `Contents.read`."""
        try:
            file = (self._root / place).open("rb")
        except FileNotFoundError:
            raise ContentMissing(place) from None
        return pieces(file, first, last)

    def remove(self, place: str) -> None:
        """See `Contents.remove`."""
        (self._root / place).unlink(missing_ok=True)

    def older(self, folder: str, than_seconds: float) -> Iterator[str]:
        """See `Contents.older`."""
        for path in _files(self._root / folder, than_seconds):
            yield path.relative_to(self._root).as_posix()

    def check(self) -> None:
        """See `Contents.check`."""
        self.discard(self.draft(b"", 0))


def pieces(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    """The bytes of an open file from `first` to `last`; it is closed when they are read, or nobody reads on."""
    with closing(file):
        file.seek(first)
        left = last - first + 1
        while left > 0:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise ContentMissing("it is shorter than it was")
            left -= len(piece)
            yield piece


@contextmanager
def _opened(source: Path | bytes) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    # Without O_NONBLOCK a named pipe would wait for who writes it.
    with open(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{source} is not an ordinary file.")
        yield file


def _copy(file: BinaryIO, to: BinaryIO, most_bytes: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        size += len(piece)
        if size > most_bytes:  # looked at while it is read: a file may grow
            raise ContentTooLarge
        digest.update(piece)
        to.write(piece)
    return size, digest.hexdigest()


def _make_folder(folder: Path) -> None:
    """Make the folder; each that is new is in its parent's list on disk."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    flush(folder.parent)


def _files(folder: Path, than_seconds: float) -> Iterator[Path]:
    before = time.time() - than_seconds
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                if path.stat().st_mtime < before:
                    yield path
            except FileNotFoundError:
                continue
