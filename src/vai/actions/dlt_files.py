"""Files as tables: found, unpacked, and read in large pieces, so that dlt need not touch every row."""

import glob
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import IO, Any

import msgspec
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from vai.ports import ActionFailed

pa: Any = pyarrow  # it has no types
csv: Any = pyarrow.csv
parquet: Any = pyarrow.parquet

WHOLE_UP_TO = 512 << 20  # a CSV up to this size is read whole, which infers types from all of its rows
BLOCK = 16 << 20
ROWS = 100_000
RECORDS = 5_000
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
TYPES: dict[str, Callable[[], Any]] = {
    "text": pa.string,
    "integer": pa.int64,
    "number": pa.float64,
    "boolean": pa.bool_,
    "date": pa.date32,
    "timestamp": lambda: pa.timestamp("us"),
}


def find(table: dict[str, Any], credentials: dict[str, str]) -> list[str]:
    """The files of a table, sorted. Raises ActionFailed `file_not_found`."""
    path = table["path"]
    found = _listed(path, credentials) if "://" in path else sorted(glob.glob(path, recursive=True))
    if not found:
        what = "no file matches" if glob.has_magic(path) else "there is no file"
        raise ActionFailed("file_not_found", f"Table {table['name']}: {what} {path}.")
    return found


def read(table: dict[str, Any], files: list[str], credentials: dict[str, str]) -> Iterator[Any]:
    """The rows of all files: Arrow tables, or lists of records for jsonl."""
    for file in files:
        form = table["format"] or _format(table["name"], file)
        with _open(file, credentials) as (stream, size):
            try:
                yield from READERS[form](stream, size, table)
            except (pa.ArrowInvalid, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ActionFailed("bad_data", f"{file} cannot be read as {form}: {error}") from None


class _open:
    """The unpacked content of a file, and its packed size."""

    def __init__(self, file: str, credentials: dict[str, str]) -> None:
        self._file = file
        self._raw = _raw(file, credentials)

    def __enter__(self) -> tuple[Any, int]:
        size = self._raw.seek(0, io.SEEK_END)
        self._raw.seek(0)
        suffix = PurePath(self._file).suffix
        if suffix == ".zip":
            return self._unzipped(), size
        if suffix in PACKED:
            return pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), PACKED[suffix]), size
        return self._raw, size

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def _unzipped(self) -> IO[bytes]:
        archive = zipfile.ZipFile(self._raw)
        members = [name for name in archive.namelist() if not name.endswith("/")]
        if len(members) != 1:
            sentence = f"{self._file} holds {len(members)} files; a .zip has to hold exactly one."
            raise ActionFailed("bad_data", sentence)
        return archive.open(members[0])


def _raw(file: str, credentials: dict[str, str]) -> IO[bytes]:
    if "://" not in file:
        return open(file, "rb")
    import fsspec  # noqa: PLC0415

    opened: IO[bytes] = fsspec.open(file, "rb", **credentials).open()
    return opened


def _listed(url: str, credentials: dict[str, str]) -> list[str]:
    import fsspec  # noqa: PLC0415

    filesystem, path = fsspec.core.url_to_fs(url, **credentials)
    return sorted(filesystem.unstrip_protocol(file) for file in filesystem.glob(path))


def _format(table: str, file: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(file).suffixes]
    for suffix in reversed(suffixes):
        if suffix in FORMATS:
            return FORMATS[suffix]
    raise ActionFailed("bad_data", f"Table {table}: give a format, the name {file} does not tell it.")


def _csv(stream: Any, size: int, table: dict[str, Any]) -> Iterator[Any]:
    options = {
        "read_options": csv.ReadOptions(block_size=BLOCK),
        "parse_options": csv.ParseOptions(delimiter=table["delimiter"], newlines_in_values=True),
        "convert_options": csv.ConvertOptions(
            null_values=table["null_values"],
            strings_can_be_null=True,
            column_types={name: TYPES[kind]() for name, kind in table["column_types"].items()},
        ),
    }
    if size <= WHOLE_UP_TO:
        yield from _slices(csv.read_csv(stream, **options))
        return
    for batch in csv.open_csv(stream, **options):
        yield pa.Table.from_batches([batch])


def _slices(whole: pa.Table) -> Iterator[Any]:
    for start in range(0, max(whole.num_rows, 1), ROWS):
        yield whole.slice(start, ROWS)


def _jsonl(stream: Any, _size: int, _table: dict[str, Any]) -> Iterator[list[Any]]:
    decode = msgspec.json.decode
    records: list[Any] = []
    for line in io.BufferedReader(stream) if isinstance(stream, pa.NativeFile) else stream:
        if line.strip():
            records.append(decode(line))
        if len(records) >= RECORDS:
            yield records
            records = []
    if records:
        yield records


def _parquet(stream: Any, _size: int, _table: dict[str, Any]) -> Iterator[Any]:
    for batch in parquet.ParquetFile(stream).iter_batches(ROWS):
        yield pa.Table.from_batches([batch])


READERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
