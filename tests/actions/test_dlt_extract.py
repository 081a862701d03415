"""`dlt_extract` from real files, databases and an HTTP API into real destinations."""

import asyncio
import gzip
import json
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow
import pyarrow.parquet
import pytest

from tests.actions.context import Context
from vai.ports import ActionFailed, Actions, ActionStopped, Connection

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "out" / "x.duckdb")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a1.csv").write_text("id,name,at\n1,one,2026-01-01\n2,NA,2026-01-02\n")
    (folder / "a2.csv").write_text("id,name,at\n3,three,2026-01-03\n")
    with gzip.open(folder / "b.csv.gz", "wt") as packed:
        packed.write("n;t\n1;x\n2;y\n")
    with zipfile.ZipFile(folder / "c.csv.zip", "w") as archive:
        archive.writestr("c.csv", "n\n1\n2\n3\n4\n")
    (folder / "d.jsonl").write_text('{"id": 1, "tags": [{"t": "x"}, {"t": "y"}]}\n\n{"id": 2, "o": {"k": 5}}\n')
    pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2, 3]}), folder / "e.parquet")
    return folder


def duck(database: str) -> dict[str, str]:
    return {"type": "duckdb", "database": database}


def tables(folder: Path, **paths: str) -> dict[str, Any]:
    listed = [{"name": name, "path": str(folder / path)} for name, path in paths.items()]
    return {"type": "filesystem", "tables": listed}


async def extract(kinds: Actions, context: Context, **definition: Any) -> Any:
    action = kinds.get("dlt_extract")
    assert action is not None
    assert list(action.check(definition)) == []
    return await action.run(definition, context)


async def refused(kinds: Actions, context: Context, **definition: Any) -> Any:
    with pytest.raises(ActionFailed) as caught:
        await extract(kinds, context, **definition)
    return caught.value.error


def rows_of(database: str, sql: str) -> list[Any]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


async def test_files_of_every_format(
    kinds: Actions, context: Context, files: Path, database: str, data_dir: Path
) -> None:
    source = tables(files, a="a*.csv", b="b.csv.gz", c="c.csv.zip", d="d.jsonl", e="e.parquet")
    source["tables"][1]["delimiter"] = ";"
    result = await extract(kinds, context, source=source, destination=duck(database), datasetName="here")
    assert result["tables"] == {"a": 3, "b": 2, "c": 4, "d": 2, "d__tags": 2, "e": 3}
    assert result["rows"] == 16
    assert result["datasetName"] == "here"
    assert len(result["loadIds"]) == 1
    assert result["schema"]["a"] == {"id": "bigint", "name": "text", "at": "date"}
    assert rows_of(database, "select id, name from here.a order by id") == [(1, "one"), (2, None), (3, "three")]
    phases = [fields["phase"] for fields in context.told]
    assert list(dict.fromkeys(phases)) == ["starting", "extracting", "normalizing", "loading", "completed"]
    assert context.told[-1]["tables"] == result["tables"]
    assert not list((data_dir / "dlt").iterdir())  # nothing of the pipeline is left behind


async def test_the_home_folder_stays_as_it_was(
    kinds: Actions, context: Context, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    await extract(kinds, context, source=tables(files, a="a*.csv"), destination=duck("x.duckdb"))
    assert list(home.rglob("*")) == []
    assert [path.name for path in work.rglob("*")] == ["x.duckdb"]


@pytest.mark.parametrize(
    "disposition, expected", [("append", [1, 1, 2, 2, 3]), ("replace", [1, 2, 3]), ("merge", [1, 2, 3])]
)
async def test_how_rows_are_written(
    kinds: Actions, context: Context, tmp_path: Path, database: str, disposition: str, expected: list[int]
) -> None:
    definition = {
        "source": tables(tmp_path, t="t.csv"),
        "destination": duck(database),
        "writeDisposition": disposition,
        "primaryKey": "id",
    }
    for ids in ("1\n2\n", "1\n2\n3\n"):
        (tmp_path / "t.csv").write_text(f"id\n{ids}")
        await extract(kinds, context, **definition)
    assert [row[0] for row in rows_of(database, "select id from raw.t order by id")] == expected


async def test_an_incremental_table_takes_only_what_is_new(
    kinds: Actions, context: Context, tmp_path: Path, database: str
) -> None:
    source = tables(tmp_path, t="t.csv")
    source["tables"][0] |= {"incremental": {"cursor": "id"}, "primaryKey": "id"}
    counts = []
    for ids in ("1\n2\n", "1\n2\n3\n", "1\n2\n3\n"):
        (tmp_path / "t.csv").write_text(f"id\n{ids}")
        result = await extract(kinds, context, source=source, destination=duck(database), writeDisposition="append")
        counts.append(result["rows"])
    assert counts == [2, 1, 0]


async def test_from_a_database(kinds: Actions, context: Context, tmp_path: Path, database: str) -> None:
    path = tmp_path / "source.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "create table people (id integer primary key, name text); insert into people values (1, 'a'), (2, 'b');"
        "create table other (x integer); insert into other values (1);"
    )
    connection.close()
    source = {"type": "sql_database", "url": f"sqlite:///{path}", "tables": ["people"]}
    result = await extract(kinds, context, source=source, destination=duck(database))
    assert result["tables"] == {"people": 2}
    everything = await extract(
        kinds, context, source={**source, "tables": None}, destination=duck(database), datasetName="all_of_it"
    )
    assert everything["tables"] == {"people": 2, "other": 1}
    held = Connection("1", "people", "sqlalchemy", {}, {"url": source["url"]})
    connected = Context(connections=[("people", held)])
    by_ref = {"type": "sql_database", "connectionRef": "people", "tables": ["people"]}
    assert (await extract(kinds, connected, source=by_ref, destination=duck(database)))["tables"] == {"people": 2}
    error = await refused(kinds, context, source={**source, "tables": ["none"]}, destination=duck(database))
    assert error.type == "table_not_found"


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
async def test_to_files(kinds: Actions, context: Context, files: Path, tmp_path: Path, form: str) -> None:
    destination = {"type": "filesystem", "path": str(tmp_path / "lake"), "format": form}
    result = await extract(kinds, context, source=tables(files, c="c.csv.zip"), destination=destination)
    assert result["rows"] == 4
    written = [path.name for path in (tmp_path / "lake" / "raw" / "c").iterdir() if form in path.name]
    assert len(written) == 1


@pytest.mark.postgres
async def test_to_postgres_and_from_it(
    kinds: Actions, context: Context, files: Path, database: str, postgres_url: str
) -> None:
    to = {"type": "postgres", "url": postgres_url}
    source = tables(files, a="a*.csv", d="d.jsonl")
    assert (await extract(kinds, context, source=source, destination=to))["rows"] == 7
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select count(*) from raw.a").fetchall() == [(3,)]
    back = {"type": "sql_database", "url": postgres_url, "schema": "raw", "tables": ["a"]}
    assert (await extract(kinds, context, source=back, destination=duck(database)))["tables"] == {"a": 3}


class Api(BaseHTTPRequestHandler):
    """Two pages of records for those who have the token."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Bearer hunter22":
            self.send_response(401)
            self.end_headers()
            return
        page = 2 if "page=2" in self.path else 1
        port = self.server.server_address[1]
        following = f"http://127.0.0.1:{port}/items?page=2" if page == 1 else None
        body = json.dumps({"data": [{"id": page * 10}, {"id": page * 10 + 1}], "next": following}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("token, rows", [("hunter22", 4), ("hunter33", None)])
async def test_from_an_api(
    kinds: Actions, context: Context, database: str, api: str, token: str, rows: int | None
) -> None:
    source = {
        "type": "rest_api",
        "baseUrl": api,
        "auth": {"type": "bearer", "token": token},
        "tables": [
            {
                "name": "items",
                "path": "/items",
                "dataSelector": "data",
                "paginator": {"type": "json_link", "next_url_path": "next"},
            }
        ],
    }
    if rows is not None:
        result = await extract(kinds, context, source=source, destination=duck(database))
        assert result["tables"] == {"items": rows}
    else:
        error = await refused(kinds, context, source=source, destination=duck(database))
        assert error.type == "authentication_failed"
        assert token not in repr(error)
    assert "hunter" not in context.everything


@pytest.mark.parametrize(
    "source, error_type, retryable",
    [
        ({"type": "filesystem", "tables": [{"name": "t", "path": "none/*.csv"}]}, "file_not_found", False),
        ({"type": "filesystem", "tables": [{"name": "t", "path": "none.csv"}]}, "file_not_found", False),
        (
            {"type": "sql_database", "url": "postgresql+psycopg2://me:hunter22@127.0.0.1:1/x?password=hunter33"},
            "connection_error",
            True,
        ),
    ],
)
async def test_a_source_that_is_not_there(
    kinds: Actions, context: Context, database: str, source: Any, error_type: str, retryable: bool
) -> None:
    error = await refused(kinds, context, source=source, destination=duck(database))
    assert (error.type, error.retryable) == (error_type, retryable)
    assert "hunter" not in repr(error) + context.everything


async def test_a_file_that_cannot_be_read(kinds: Actions, context: Context, tmp_path: Path, database: str) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n1,2,3\n")
    error = await refused(kinds, context, source=tables(tmp_path, t="t.csv"), destination=duck(database))
    assert error.type == "bad_data"
    assert "t.csv cannot be read as csv" in error.message


async def test_cancel_stops_it(kinds: Actions, context: Context, files: Path, database: str, data_dir: Path) -> None:
    task = asyncio.create_task(extract(kinds, context, source=tables(files, a="a*.csv"), destination=duck(database)))
    await context.until_told(lambda fields: fields["phase"] == "extracting")
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
    assert not list((data_dir / "dlt").iterdir())
