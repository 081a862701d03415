"""Files that steps attach: kept durably before the row that names them, served, and removed when none does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from uuid_utils import uuid7

from vai.domain.state import Instant
from vai.ports import (
    ORPHAN_SECONDS,
    ActionFailed,
    ActionStopped,
    ArtifactRecord,
    Attachment,
    Clock,
    ContentMissing,
    Contents,
    ContentTooLarge,
    Draft,
    FileBounds,
    Label,
    NotKept,
    Store,
    StoreUnavailable,
)
from vai.runs.errors import NotFound

T = TypeVar("T")

_log = logging.getLogger("vai.artifacts")

_RETRY_SECONDS = 1.0  # between attempts while the database does not answer
_MOST_AT_ONCE = 100
_DAY_MS = 86_400_000


class Author(msgspec.Struct, frozen=True):
    """The step that attaches a file, in one of its tries."""

    tenant_id: str
    run_id: str
    action_run_id: str
    try_number: int


class Attachments:
    """Keeps files, serves them and removes them. Any number of processes may do so at once."""

    def __init__(self, store: Store, contents: Contents, clock: Clock, bounds: FileBounds | None = None) -> None:
        self._store, self._contents, self._clock = store, contents, clock
        self._bounds = bounds or FileBounds()
        self._swept_at: Instant | None = None

    # --- keeping -------------------------------------------------------------------------------------------

    def draft(self, source: str | Path | bytes) -> Draft:
        """A copy of a file that is to be kept. Blocks. Raises ActionFailed."""
        given = source if isinstance(source, bytes) else Path(source)
        try:
            return self._contents.draft(given, self._bounds.bytes)
        except ContentTooLarge:
            raise self._refusal(NotKept.TOO_LARGE) from None
        except (OSError, ValueError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            raise ActionFailed("bad_attachment", f"The file cannot be attached: {reason}") from None

    async def keep(self, draft: Draft, label: Label, author: Author, is_stopped: Callable[[], bool]) -> ArtifactRecord:
        """Keep the draft as an artifact of the step, waiting for the database as long as the step is not stopped.
        Raises ActionFailed, ActionStopped."""
        try:
            known = await self._known(draft, author, is_stopped)
            kept = await self._keep(draft, label, author, is_stopped, known)
            if kept is NotKept.GONE:
                # It is just being removed, however long that takes: write it anew.
                kept = await self._keep(draft, label, author, is_stopped, None)
        finally:
            await asyncio.to_thread(self._contents.discard, draft)
        if isinstance(kept, NotKept):
            raise self._refusal(kept)
        return kept

    async def _known(self, draft: Draft, author: Author, is_stopped: Callable[[], bool]) -> str | None:
        """Where the content is already, unless somebody removed it by hand."""
        known, _ = await self._answered(lambda: self._store.place_of(author.tenant_id, draft.sha256), is_stopped)
        return known if known is not None and await _aside(self._contents.has, known) else None

    async def _keep(
        self, draft: Draft, label: Label, author: Author, is_stopped: Callable[[], bool], known: str | None
    ) -> ArtifactRecord | NotKept:
        artifact_id = str(uuid7())
        # A place of its own: nobody who removes the same content elsewhere can mean this one.
        place = known or f"{author.tenant_id}/{draft.sha256[:2]}/{draft.sha256}-{artifact_id}"
        if known is None:
            await _aside(self._contents.keep, draft, place)
        artifact = ArtifactRecord(
            id=artifact_id,
            tenant_id=author.tenant_id,
            run_id=author.run_id,
            action_run_id=author.action_run_id,
            kind="file",
            size_bytes=draft.size_bytes,
            created_at=self._clock(),
            name=label.name,
            media_type=label.media_type,
            sha256=draft.sha256,
            place=place,
        )
        bounds = self._bounds
        wanted = Attachment(artifact, author.try_number, known is None, bounds.files, bounds.bytes)
        kept: ArtifactRecord | NotKept
        kept, was_cut_off = await self._answered(lambda: self._store.attach(wanted), is_stopped)
        if known is None and isinstance(kept, NotKept) and not was_cut_off:
            # Had an earlier try landed unheard, a row would name it.
            await _aside(self._contents.remove, place)
        return kept

    async def _answered(self, ask: Callable[[], Any], is_stopped: Callable[[], bool]) -> tuple[Any, bool]:
        """What the database answers, and whether an earlier try may have landed without an answer."""
        was_cut_off = False
        while True:
            try:
                return await ask(), was_cut_off
            except StoreUnavailable as reason:
                if is_stopped():
                    raise ActionStopped from reason
                was_cut_off = True
                await asyncio.sleep(_RETRY_SECONDS)

    def _refusal(self, why: NotKept) -> ActionFailed:
        if why is NotKept.TOO_MANY:
            sentence = f"A step may attach {self._bounds.files} files (VAI_ARTIFACTS_PER_STEP)."
            return ActionFailed("too_many_attachments", sentence)
        if why is NotKept.TOO_LARGE:
            sentence = f"The files of a step may have {self._bounds.bytes} bytes together (VAI_ARTIFACTS_STEP_BYTES)."
            return ActionFailed("attachment_too_large", sentence)
        return ActionFailed("attach_failed", "The step is not at work any more, or its run is gone.")

    # --- serving -------------------------------------------------------------------------------------------

    async def read(self, artifact: ArtifactRecord, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes of a file from `first` to `last`, in pieces. Raises NotFound and StoreUnavailable before the first
        piece."""
        try:
            found = await asyncio.to_thread(self._contents.read, artifact.place or "", first, last)
        except ContentMissing:
            raise NotFound(f"The content of artifact {artifact.id} is not where artifacts are kept.") from None
        except Exception as error:
            raise StoreUnavailable(f"The content cannot be read just now: {type(error).__name__}.") from error
        return _streamed(found)

    # --- removing ------------------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """Remove contents that no row names any more, and once a day what a crash left between a file and its row.
        Raises StoreUnavailable."""
        try:
            await self.remove_unnamed()
            now = self._clock()
            if self._swept_at is None or now - self._swept_at >= _DAY_MS:
                await self.sweep()
                self._swept_at = now
        except StoreUnavailable:
            raise
        except Exception as error:
            _log.warning("contents of removed artifacts stay for now: %s: %s", type(error).__name__, error)

    async def remove_unnamed(self) -> None:
        """Remove the contents of artifacts that are gone, where no other artifact has the same."""
        while places := await self._store.unnamed(_MOST_AT_ONCE):
            for place in places:
                await asyncio.to_thread(self._contents.remove, place)
            await self._store.forget(places)

    async def sweep(self) -> None:
        """Remove old drafts, and old contents that the database knows nothing of. Only in the folders of the
        database's own organizations: others may keep theirs beside them."""
        await asyncio.to_thread(self._contents.tidy, ORPHAN_SECONDS)
        for tenant_id in await self._store.organization_ids():
            found = self._contents.older(tenant_id, ORPHAN_SECONDS)
            while places := await asyncio.to_thread(lambda found=found: list(islice(found, _MOST_AT_ONCE))):  # type: ignore[misc]
                known = await self._store.known(places)
                for place in set(places).difference(known):
                    _log.info("removed %s, which no artifact names", place)
                    await asyncio.to_thread(self._contents.remove, place)


async def _aside(work: Callable[..., T], *args: Any) -> T:
    """What `work` answers in a thread. Raises ActionFailed for whatever a disk or an object store may say."""
    try:
        return await asyncio.to_thread(work, *args)
    except Exception as error:
        sentence = f"The file could not be kept: {type(error).__name__}: {error}"
        raise ActionFailed("attach_failed", sentence, retryable=True) from error


async def _streamed(found: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, found, None)) is not None:
        yield piece
