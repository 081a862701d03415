"""`file_sync`: files from one place to another with fsspec, in a child process (`file_sync_child`)."""

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from vai.actions.checking import ConnectionRef, Definition, is_templated, ref_of
from vai.actions.kind import Kind
from vai.actions.process import Processes, Work
from vai.actions.secrets import revealed, secrets_of
from vai.ports import ActionContext

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
READ_ONLY = frozenset({"http", "https"})
SFTP = frozenset({"sftp", "ssh"})
PLACES = frozenset({"file"}) | SFTP | OBJECT_STORES | READ_ONLY


def scheme_of(address: str) -> str:
    """`s3` of `s3://bucket/folder`; `file` of a path."""
    scheme, separator, _ = address.partition("://")
    return scheme.lower() if separator else "file"


def _place(address: str) -> str:
    if not is_templated(address) and scheme_of(address) not in PLACES:
        raise ValueError(f"must be a path, or begin with one of {', '.join(sorted(PLACES))} and ://")
    return address


def _writable(address: str) -> str:
    if not is_templated(address) and scheme_of(address) in READ_ONLY:
        raise ValueError("files can only be read over HTTP")
    return address


Pattern = Annotated[str, Field(min_length=1, max_length=1_000)]
Place = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_place)]


class SyncDefinition(Definition):
    """Which files, from where to where, and what is done with those that differ."""

    source: Place = Field(description="A path or an address: a file, or a folder (over HTTP it ends with /)")
    source_connection_ref: ConnectionRef | None = None
    destination: Annotated[Place, AfterValidator(_writable)] = Field(description="The folder that they go to")
    destination_connection_ref: ConnectionRef | None = None
    mode: Literal["copy", "sync", "mirror"] = Field(
        "sync", description="copy: all; sync: what differs; mirror: that, and delete what the source has not"
    )
    include: list[Pattern] = Field(default_factory=list, description="Only files that fit one of these; default: all")
    exclude: list[Pattern] = Field(default_factory=list)
    compare: Literal["size_and_time", "size", "checksum"] = "size_and_time"
    dry_run: bool = Field(False, description="Only tell what would be done")
    parallel: int = Field(4, ge=1, le=32, description="Files at once")
    max_files: int = Field(100_000, ge=1, le=1_000_000, description="More files than that fail the step")
    max_bytes: int | None = Field(None, ge=1, description="More to copy than that fails the step")
    max_deletes: int = Field(1_000, ge=0, le=1_000_000, description="More to delete than that fails the step")
    max_changes: int = Field(100, ge=0, le=100_000, description="How many changes the result lists")


class FileSync(Kind):
    """The kind `file_sync`."""

    kind = "file_sync"
    title = "Sync files"
    description = (
        "Copies files between folders, object stores and servers: all, what differs, or as a mirror. The result "
        "holds {dryRun, copied, unchanged, deleted, skipped, bytes, changes, changesTruncated}."
    )
    extra: str | None = "files"
    needs = ("fsspec",)

    def __init__(self, processes: Processes) -> None:
        super().__init__(SyncDefinition)
        self._processes = processes

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Do it. ActionFailed `file_not_found`, `permission_denied`, `too_many_files`, `too_many_bytes`,
        `too_many_deletes`, `unsafe_path`, `missing_library`, `invalid_definition`, `invalid_connection`, `disk_full`
        (retryable) or `transfer_failed` (retryable)."""
        sync: SyncDefinition = self.parse(definition)
        for ref in (sync.source_connection_ref, sync.destination_connection_ref):
            if ref is not None:
                context.connection(ref_of(ref))  # one that is not there is told before a process starts
        passwords = [SecretStr(_password(address)) for address in (sync.source, sync.destination)]
        # The same over every attempt: what a killed one left half written is written over.
        token = hashlib.sha256(f"{context.run_id}:{context.step_key}".encode()).hexdigest()[:12]
        request = {**revealed(sync), "token": token}
        work = Work("vai.actions.file_sync_child:run", request, secrets_of(passwords))
        return await self._processes.run(work, context)


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""
