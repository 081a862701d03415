"""`file_sync` inside a child process: first a plan of all that is to be done, then the doing."""

import errno
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

import msgspec

from vai.actions.child_context import ChildContext
from vai.actions.file_sync_places import File, Place, fitting
from vai.ports import ActionFailed, ActionStopped

INTERVAL = 0.25  # seconds from one progress to the next
CHUNK = 1 << 20


class Plan(msgspec.Struct):
    """What differs: new and changed files, and what the source has not."""

    added: dict[str, File] = {}
    changed: dict[str, File] = {}
    deleted: dict[str, File] = {}
    unchanged: int = 0

    @property
    def to_copy(self) -> dict[str, File]:
        return self.added | self.changed


def run(request: dict[str, Any], context: ChildContext) -> dict[str, Any]:
    """The result of a SyncDefinition. Raises ActionFailed, ActionStopped."""
    return _Sync(request, context).run()


class _Sync:
    """One sync from its listing to its result."""

    def __init__(self, request: dict[str, Any], context: ChildContext) -> None:
        self._request, self._context = request, context
        try:
            self._source, self._destination = self._place("source"), self._place("destination")
        except ActionFailed:
            raise
        except Exception as error:  # some connect at once
            raise explained(error, {}) from None
        if self._source.overlaps(self._destination):
            raise ActionFailed("invalid_definition", "The source and the destination lie inside one another.")
        self._lock = threading.Lock()
        self._broken = threading.Event()
        self._done = self._bytes = self._total = 0
        self._told_at = 0.0

    def _place(self, end: str) -> Place:
        ref = self._request[f"{end}_connection_ref"]
        connection = None if ref is None else self._context.connection(ref)
        return Place(self._request[end], connection, self._request["token"])

    def run(self) -> dict[str, Any]:
        self._context.progress(phase="listing")
        try:
            plan = self._plan()
            self._check(plan)
            if not self._request["dry_run"]:
                self._copy(plan.to_copy)
                for path in plan.deleted:  # only when all that is new has arrived
                    self._stop_if_asked()
                    self._destination.delete(path)
        except (ActionFailed, ActionStopped):
            raise
        except Exception as error:
            raise explained(error, {"copied": self._done, "bytes": self._bytes}) from None
        return self._result(plan)

    def _plan(self) -> Plan:
        fits, limit = fitting(self._request["include"], self._request["exclude"]), self._request["max_files"]
        here = self._source.files(fits, limit, is_source=True)
        there = self._destination.files(fits, limit, is_source=False)
        plan = Plan()
        for path, file in here.items():
            self._stop_if_asked()
            self._destination.path_of(path)  # a link that leads out is told before anything is written
            if path not in there:
                plan.added[path] = file
            elif self._request["mode"] == "copy" or self._differs(file, there[path]):
                plan.changed[path] = file
            else:
                plan.unchanged += 1
        if self._request["mode"] == "mirror":
            plan.deleted = {path: file for path, file in there.items() if path not in here}
        return plan

    def _differs(self, file: File, other: File) -> bool:
        if file.size is None or other.size is None or file.size != other.size:
            return True
        if self._request["compare"] == "checksum":
            return self._digest(self._source, file) != self._digest(self._destination, other)
        if self._request["compare"] == "size":
            return False
        return file.modified is not None and other.modified is not None and is_newer(file.modified, other.modified)

    def _digest(self, place: Place, file: File) -> bytes:
        digest = hashlib.sha256()
        for piece in self._pieces(place, file):
            digest.update(piece)
        return digest.digest()

    def _check(self, plan: Plan) -> None:
        size = sum(file.size or 0 for file in plan.to_copy.values())
        limit = self._request["max_bytes"]
        if limit is not None and size > limit:
            raise ActionFailed("too_many_bytes", f"There are {size} bytes to copy, more than {limit} (maxBytes).")
        if len(plan.deleted) > self._request["max_deletes"]:
            limit = self._request["max_deletes"]
            sentence = f"{len(plan.deleted)} files would be deleted, more than {limit} (maxDeletes)."
            raise ActionFailed("too_many_deletes", sentence)

    def _copy(self, files: dict[str, File]) -> None:
        self._total = len(files)
        is_single = self._source.one_at_a_time or self._destination.one_at_a_time
        with ThreadPoolExecutor(1 if is_single else self._request["parallel"]) as pool:
            futures = [pool.submit(self._transfer, path, file) for path, file in files.items()]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            if waiting:  # one failed: nothing more is begun, and what is under way ends
                self._broken.set()
                pool.shutdown(cancel_futures=True)
            for future in sorted(done, key=lambda future: isinstance(future.exception(), ActionStopped)):
                future.result()
        self._tell(last=True)

    def _transfer(self, path: str, file: File) -> None:
        self._destination.write(path, self._counted(file), file.modified)
        with self._lock:
            self._done += 1
            self._tell()

    def _counted(self, file: File) -> Iterator[bytes]:
        limit = self._request["max_bytes"]
        for piece in self._pieces(self._source, file):
            with self._lock:
                self._bytes += len(piece)
                self._tell()
            if limit is not None and self._bytes > limit:
                raise ActionFailed("too_many_bytes", f"More than {limit} bytes came (maxBytes).")
            yield piece

    def _pieces(self, place: Place, file: File) -> Iterator[bytes]:
        with place.read(file) as opened:
            self._stop_if_asked()
            while piece := opened.read(CHUNK):
                yield piece
                self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._context.cancelled or self._broken.is_set():
            raise ActionStopped

    def _tell(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._told_at >= INTERVAL:
            self._told_at = now
            self._context.progress(phase="copying", done=self._done, total=self._total, bytes=self._bytes)

    def _result(self, plan: Plan) -> dict[str, Any]:
        kinds = {"added": plan.added, "changed": plan.changed, "deleted": plan.deleted}
        changes = [
            {"path": path, "change": change, "bytes": file.size}
            for change, files in kinds.items()
            for path, file in files.items()
        ]
        size = sum(file.size or 0 for file in plan.to_copy.values())
        shown = self._request["max_changes"]
        return {
            "dryRun": self._request["dry_run"],
            "copied": len(plan.to_copy),
            "unchanged": plan.unchanged,
            "deleted": len(plan.deleted),
            "skipped": self._source.skipped,
            "bytes": size if self._request["dry_run"] else self._bytes,
            "changes": changes[:shown],
            "changesTruncated": len(changes) > shown,
        }


def is_newer(time: float, other: float) -> bool:
    """Whether a time of change is later than another, which its place may have cut to whole seconds."""
    return (int(time) if other.is_integer() else time) > other


def explained(error: Exception, details: dict[str, Any]) -> ActionFailed:
    """A failure of the places in words, with how far it was."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = "The destination has no space left; what was copied whole is there, and a retry goes on from it."
        return ActionFailed("disk_full", sentence, retryable=True, details=details)
    if isinstance(error, FileNotFoundError):
        return ActionFailed("file_not_found", text, details=details)
    if isinstance(error, PermissionError):
        return ActionFailed("permission_denied", text, details=details)
    if isinstance(error, ImportError):
        return ActionFailed("missing_library", text, details=details)
    return ActionFailed("transfer_failed", text, retryable=True, details=details)
