"""Where files lie, through fsspec: listed by their relative paths, read, written whole or not at all, deleted."""

import contextlib
import hashlib
import importlib
import os
import posixpath
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import unquote

import fsspec
import msgspec
from fsspec.utils import glob_translate

from vai.actions.file_sync import OBJECT_STORES, READ_ONLY, SFTP, scheme_of
from vai.actions.http_sign_in import full_url, sign_in
from vai.ports import ActionFailed, Connection

PART = ".vai-part"  # the end of a file's name until it is whole
TIMES = ("mtime", "LastModified", "last_modified", "updated")


class File(msgspec.Struct, frozen=True):
    """One file: where it is, its size in bytes and time of change in seconds where these are known."""

    name: str
    size: int | None
    modified: float | None


class Place:
    """A folder, or a source that is one file. `skipped` counts what was listed and is no file to be taken."""

    def __init__(self, address: str, connection: Connection | None, token: str) -> None:
        """`token` tells its half written files from those of other steps.

        Raises ActionFailed if fsspec cannot open the place, or what it needs for that is not installed.
        """
        scheme = scheme_of(address)
        shown = "The path" if scheme == "file" else f"{scheme}://…"
        try:
            self.fs, root = fsspec.core.url_to_fs(address, **_options(address, connection))
        except ImportError as error:
            raise ActionFailed("missing_library", f"{shown}: {error}") from None
        except (ValueError, TypeError) as error:
            raise ActionFailed("invalid_definition", f"{shown}: {error}") from None
        self.is_local, self._is_http = scheme == "file", scheme in READ_ONLY
        self._is_object_store = scheme in OBJECT_STORES
        self.one_at_a_time = scheme in SFTP  # paramiko's client may hang when several threads share it
        self._is_folder, self._token = address.endswith("/"), token
        self.root = os.path.realpath(root) if self.is_local else root.rstrip("/")
        self.skipped = 0

    def overlaps(self, other: "Place") -> bool:
        """True when one lies inside the other."""
        mine, its = f"{self.root}/", f"{other.root}/"
        is_one_system = self.fs is other.fs or (self.is_local and other.is_local)
        return is_one_system and (mine.startswith(its) or its.startswith(mine))

    def files(self, fits: Callable[[str], bool], limit: int, *, is_source: bool) -> dict[str, File]:
        """The files by relative path. Raises ActionFailed `too_many_files`, `unsafe_path`, `file_not_found`."""
        found: dict[str, File] = {}
        for path, file in self._walk(is_source):
            if path.endswith(PART) or not fits(path):
                continue
            if is_source and not is_safe(path):
                raise ActionFailed("unsafe_path", f"The source has a file whose name leads elsewhere: {path!r}.")
            found[path] = file
            if len(found) > limit:
                raise ActionFailed("too_many_files", f"There are more than {limit} files (maxFiles).")
        return found

    def _walk(self, is_source: bool) -> Iterator[tuple[str, File]]:
        if is_source and not self._is_folder and self.fs.isfile(self.root):
            yield posixpath.basename(self.root), self._file(self.root, self.fs.info(self.root))
        elif is_source and not self.fs.exists(self.root if self.is_local else f"{self.root}/"):
            raise ActionFailed("file_not_found", "The source does not exist.")
        elif self.is_local:
            yield from self._walk_local()
        else:
            yield from self._walk_remote()

    def _walk_local(self) -> Iterator[tuple[str, File]]:
        """Links to folders are not followed, so there is no loop; links to files only when these lie inside."""
        for folder, folders, names in os.walk(self.root, onerror=_unless_gone, followlinks=False):
            self.skipped += sum(os.path.islink(os.path.join(folder, name)) for name in folders)
            for name in names:
                path = os.path.join(folder, name)
                if not self._holds(os.path.realpath(path)) or not os.path.isfile(path):
                    self.skipped += 1
                    continue
                with contextlib.suppress(FileNotFoundError):  # it may be gone since it was listed
                    status = os.stat(path)
                    relative = os.path.relpath(path, self.root).replace(os.sep, "/")
                    yield relative, File(path, status.st_size, status.st_mtime)

    def _walk_remote(self) -> Iterator[tuple[str, File]]:
        try:
            listed = self.fs.find(f"{self.root}/", detail=True)
        except FileNotFoundError:
            return
        for name, info in listed.items():
            if name.endswith("/") or info.get("type") == "directory":
                continue
            # A page of an HTTP server links to whatever it likes.
            is_below = name.startswith(f"{self.root}/") and not (self._is_http and ("?" in name or "#" in name))
            if not is_below or info.get("type") not in ("file", None):
                self.skipped += 1
                continue
            relative = name[len(self.root) + 1 :]
            yield unquote(relative) if self._is_http else relative, self._file(name, info)

    def _holds(self, real: str) -> bool:
        return real == self.root or real.startswith(os.path.join(self.root, ""))

    def _file(self, name: str, info: dict[str, Any]) -> File:
        if info.get("size") is None and self._is_http:
            info = self.fs.info(name)
        return File(name, info.get("size"), _modified(info))

    def path_of(self, relative: str) -> str:
        """Where a relative path leads. Raises ActionFailed `unsafe_path` when a link leads it out of here."""
        path = f"{self.root}/{relative}"
        if self.is_local and not self._holds(os.path.realpath(os.path.dirname(path))):
            raise ActionFailed("unsafe_path", f"A link in the destination leads out of it: {relative!r}.")
        return path

    def read(self, file: File) -> BinaryIO:
        """Open a file."""
        opened: BinaryIO = self.fs.open(file.name, "rb")
        return opened

    def write(self, relative: str, pieces: Iterator[bytes], modified: float | None) -> None:
        """Put a file there, whole or not at all, over one that is there. `modified`: when it was changed."""
        path = self.path_of(relative)
        if self._is_object_store:  # an object appears when it is whole
            self._fill(path, pieces)
            return
        folder = posixpath.dirname(path)
        self.fs.makedirs(folder, exist_ok=True)
        part = f"{folder}/.{hashlib.sha256(f'{self._token}:{relative}'.encode()).hexdigest()[:24]}{PART}"
        try:
            self._fill(part, pieces)
            if self.is_local and modified is not None:
                os.utime(part, (modified, modified))
            os.replace(part, path) if self.is_local else self.fs.mv(part, path)
        except BaseException:
            if self.fs.exists(part):
                self.fs.rm_file(part)
            raise

    def _fill(self, path: str, pieces: Iterator[bytes]) -> None:
        if self.is_local and os.path.islink(path):
            os.unlink(path)  # what is written must not go where a link points
        out = self.fs.open(path, "wb")
        try:
            for piece in pieces:
                out.write(piece)
            if self.is_local:
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            self._abandon(out)
            raise
        out.close()

    def _abandon(self, out: Any) -> None:
        if not self._is_object_store:
            out.close()
            return
        with contextlib.suppress(Exception):
            out.discard()
        out.closed = True  # closing would complete the object from what it has so far

    def delete(self, relative: str) -> None:
        """Delete a file."""
        self.fs.rm_file(self.path_of(relative))


def is_safe(path: str) -> bool:
    """False when a relative path could lead out of a folder."""
    parts = path.replace("\\", "/").split("/")
    return bool(path) and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def fitting(include: list[str], exclude: list[str]) -> Callable[[str], bool]:
    """Whether a relative path is wanted. `*` stays within a folder, `**` goes through any number of them."""
    wanted = [re.compile(glob_translate(pattern)) for pattern in include]
    unwanted = [re.compile(glob_translate(pattern)) for pattern in exclude]

    def fits(path: str) -> bool:
        is_wanted = not wanted or any(pattern.match(path) for pattern in wanted)
        return is_wanted and not any(pattern.match(path) for pattern in unwanted)

    return fits


def _options(address: str, connection: Connection | None) -> dict[str, Any]:
    """What fsspec is told beside the address: over HTTP how to sign in, else all that the connection holds."""
    if connection is None:
        return {}
    if scheme_of(address) in READ_ONLY:
        full_url(address, connection)  # its credentials go to its own server alone
        headers = sign_in(connection) if connection.credentials else {}
        client = {"headers": headers, "raise_for_status": _stay}
        return {"client_kwargs": client, "allow_redirects": False}
    options = {**connection.config, **connection.credentials}
    if scheme_of(address) in SFTP and "hostKey" in options:
        options["host_key_policy"] = importlib.import_module("vai.actions.file_sync_sftp").Pinned(
            options.pop("hostKey")
        )
    return options


async def _stay(response: Any) -> None:
    """A redirect is not followed, since it would take the credentials along; nor is its body a file."""
    if 300 <= response.status < 400:
        raise ActionFailed("http_3xx", f"The server answered {response.status}: it leads to another address.")


def _modified(info: dict[str, Any]) -> float | None:
    value = next((info[name] for name in TIMES if info.get(name) is not None), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
    return float(value) if isinstance(value, int | float) else None


def _unless_gone(error: OSError) -> None:
    """A destination need not be there yet; a folder that cannot be read must not look empty."""
    if not isinstance(error, FileNotFoundError):
        raise error
