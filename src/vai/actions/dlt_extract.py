"""`dlt_extract`: data from a source into a destination with dlt, in a child process (`dlt_child`)."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from vai.actions.dlt_definition import DuckdbDestination, ExtractDefinition
from vai.actions.file_locks import FileLocks
from vai.actions.kind import Kind
from vai.actions.process import Processes, Work
from vai.actions.secrets import revealed, secrets_of
from vai.ports import ActionContext, ActionFailed


class DltExtract(Kind):
    """The kind `dlt_extract`."""

    kind = "dlt_extract"
    title = "Extract with dlt"
    description = (
        "Loads tables from files, a database or an HTTP API into DuckDB, PostgreSQL or files. The result holds "
        "{tables: {name: rows}, rows, loadIds, datasetName, schema}."
    )
    extra: str | None = "data"
    needs = ("dlt", "pyarrow", "duckdb")

    def __init__(self, processes: Processes, locks: FileLocks, data_dir: str) -> None:
        super().__init__(ExtractDefinition)
        self._processes, self._locks, self._data_dir = processes, locks, data_dir

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Do it. ActionFailed `file_not_found`, `connection_error`, `authentication_failed`, `bad_data`,
        `table_not_found`, `database_locked`, `http_<class>` or `extract_failed`."""
        extract: ExtractDefinition = self.parse(definition)
        to = extract.destination
        files = {to.database: True} if isinstance(to, DuckdbDestination) else {}
        name = extract.pipeline_name or pipeline_name(extract, context.tenant_id)
        async with self._locks.held(files, context):
            with _working_folder(self._data_dir, context) as folder:
                request = {"folder": str(folder), **revealed(extract), "pipeline_name": name}
                _reach(request, context)
                work = Work("vai.actions.dlt_child:run", request, secrets_of(extract))
                try:
                    return await self._processes.run(work, context)
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(_remove, folder)


def pipeline_name(extract: ExtractDefinition, tenant_id: str) -> str:
    """The same for the same tables from the same kind of source to the same place, whatever the credentials."""
    place = extract.destination.model_dump(exclude={"url", "credentials", "connection_ref"}, mode="json")
    tables = [table.name for table in extract.source.tables or ()]
    identity = [tenant_id, place, extract.dataset_name, extract.source.type, tables]
    return f"vai_{hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:16]}"


def _reach(request: dict[str, Any], context: ActionContext) -> None:
    """Put the address in where a connection holds it."""
    for end in (request["source"], request["destination"]):
        if end.get("connection_ref") is not None:
            connection = context.connection(end["connection_ref"])
            if "url" not in connection.credentials:
                sentence = f"The connection {connection.slug} has no url among its credentials."
                raise ActionFailed("invalid_connection", sentence)
            end["url"] = str(connection.credentials["url"])


@contextlib.contextmanager
def _working_folder(data_dir: str, context: ActionContext) -> Iterator[Path]:
    """A folder of this step's own, gone afterwards: what lasts of a pipeline is kept in its destination."""
    name = hashlib.sha256(f"{context.run_id}:{context.step_key}".encode()).hexdigest()[:24]
    yield Path(data_dir).resolve() / "dlt" / name


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
