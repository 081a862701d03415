"""Master keys: from the environment, newest first, or from a file in the data folder that is made on first use."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

KEY_BYTES = 32


class BadMasterKey(Exception):
    """A master key that cannot be used; the message says which and what to do, never what it is."""


class KeyLost(Exception):
    """What is stored was sealed under a master key that is not here; nothing was changed."""


class MasterKeys:
    """The master keys of a deployment, newest first. `given`: VAI_SECRET_KEY; None: the file counts."""

    def __init__(self, given: str | None, file: Path) -> None:
        """Raises BadMasterKey for `given` that does not do."""
        self.file = file
        self.place = "VAI_SECRET_KEY" if given else str(file)
        self._given = _parsed(given, "VAI_SECRET_KEY") if given else None

    def known(self) -> Sequence[bytes]:
        """The keys there are; none when the file was not made yet. Raises BadMasterKey."""
        if self._given is not None:
            return self._given
        try:
            return _parsed(self.file.read_text(errors="replace"), str(self.file))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise BadMasterKey(f"The master key {self.file} cannot be read: {error.strerror}.") from None

    def newest(self) -> bytes:
        """The key to seal with; makes the file when there is none. Raises BadMasterKey."""
        if not self.known():
            self._make()
        return self.known()[0]

    def by_fingerprint(self, fingerprint: str) -> bytes:
        """The key of that fingerprint. Raises KeyLost, BadMasterKey."""
        for key in self.known():
            if fingerprint_of(key) == fingerprint:
                return key
        raise KeyLost(
            f"Credentials were sealed under the master key {fingerprint}, which is not in {self.place}. Give that key "
            "(again, beside the present one) in VAI_SECRET_KEY; nothing was changed."
        )

    def _make(self) -> None:
        text = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"
        draft = self.file.with_name(f"{self.file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # what is sealed under it must not outlive it
            with contextlib.suppress(FileExistsError):  # another process was faster: its key counts
                os.link(draft, self.file)
            draft.unlink()
        except OSError as error:
            raise BadMasterKey(f"The master key {self.file} cannot be written: {error.strerror}.") from None


def fingerprint_of(key: bytes) -> str:
    """What a master key is called by; tells nothing of it."""
    return hashlib.sha256(b"vai master key" + key).hexdigest()[:16]


def _parsed(text: str, place: str) -> Sequence[bytes]:
    keys = []
    for number, word in enumerate(filter(None, re.split(r"[\s,]+", text)), 1):
        try:
            key = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise BadMasterKey(
                f"Key {number} in {place} is not {KEY_BYTES} bytes in base64. `openssl rand -base64 32` makes one; "
                "several, newest first, are parted by commas."
            )
        keys.append(key)
    if not keys:
        raise BadMasterKey(f"{place} holds no master key. Put back the one that was there.")
    return tuple(keys)
