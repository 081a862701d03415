"""What the command does before it can do anything: loading, finding the server, refusing in a sentence."""

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.server import Server, Vai, environment

pytestmark = pytest.mark.process

LOADED = """
import sys
from vai.cli.app import run
code = run(sys.argv[1:])
print(" ".join(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
sys.exit(code)
"""
SERVER_LIBRARIES = {"fastapi", "sqlalchemy", "uvicorn", "starlette", "cel", "alembic", "psycopg", "dlt", "duckdb"}


def loaded(data_dir: Path, *args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args], env=environment(data_dir), capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_and_version_load_no_client_and_no_server(tmp_path: Path) -> None:
    for args in (["--help"], ["version"]):
        assert not loaded(tmp_path, *args) & {*SERVER_LIBRARIES, "httpx", "yaml"}


def test_a_client_command_loads_no_server(server: Server) -> None:
    modules = loaded(server.data_dir, "runs", "list")
    assert "httpx" in modules
    assert not modules & {*SERVER_LIBRARIES, "yaml", "pygments"}


@pytest.mark.parametrize("args", [["--help"], ["runs", "--help"], ["runs", "start", "--help"], ["serve", "--help"]])
def test_help_says_what_there_is(vai: Vai, args: list[str]) -> None:
    done = vai(*args)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: vai" in done.stdout
    if args == ["--help"]:
        assert all(code in done.stdout for code in ("130", "Exit codes", "VAI_API_KEY", "automations"))


def test_the_version_is_shown(vai: Vai) -> None:
    assert vai("version").stdout.startswith("vai ")
    assert "version" in vai.json("version")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://[::1", "http://[x]/"])
def test_an_address_that_is_none(vai: Vai, url: str) -> None:
    done = vai("runs", "list", VAI_API_URL=url)
    assert done.returncode == 2
    assert done.stderr.startswith("VAI_API_URL must be an address")


def test_a_server_that_is_not_there(vai: Vai) -> None:
    done = vai("runs", "list", VAI_API_URL="http://127.0.0.1:9")
    assert done.returncode == 3
    assert done.stderr.startswith("There is no server at http://127.0.0.1:9 (from VAI_API_URL).")


def test_a_key_that_is_not_accepted_is_never_shown(vai: Vai) -> None:
    for key in ("vai_key_wrong", "vai_key\nwrong", "vai_schlüssel", "vai_k\x1bey"):
        done = vai("runs", "list", VAI_API_KEY=key)
        assert done.returncode == 3
        assert "VAI_API_KEY" in done.stderr
        assert "wrong" not in done.stderr
        assert "schl" not in done.stderr


def test_no_key_at_all(tmp_path: Path, vai: Vai) -> None:
    done = vai("runs", "list", VAI_DATA_DIR=str(tmp_path / "none"))
    assert done.returncode == 3
    assert "vai serve" in done.stderr


def test_the_key_of_this_machine_goes_to_no_other(vai: Vai) -> None:
    done = vai("runs", "list", "--api-url", "http://vai.example.org")
    assert (done.returncode, done.stderr) == (3, "There is no API key for http://vai.example.org: set VAI_API_KEY.\n")


def test_an_address_that_is_none_is_wrong_usage(vai: Vai) -> None:
    assert vai("runs", "list", "--api-url", "nonsense").returncode == 2


def test_what_is_not_vai_is_told_so(vai: Vai) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with vai.start("runs", "list", "--api-url", url) as process:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                said = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "is not vai" in said


def test_a_taken_port(vai: Vai, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = vai("serve", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "args, code, said",
    [
        (["--actions", "nowhere.py"], 1, "nowhere.py"),
        (["--database-url", "nonsense"], 1, "use sqlite:///"),
        (["--database-url", "postgresql://127.0.0.1:9/x"], 1, "PostgreSQL at 127.0.0.1"),
        (["--database-url", "sqlite:///:memory:"], 1, "vai needs a database file"),
        (["--port", "many"], 2, "--port"),
    ],
)
def test_a_server_that_cannot_start_says_why(vai: Vai, args: list[str], code: int, said: str) -> None:
    done = vai("serve", "--port", "0", *args, VAI_DATA_DIR=str(vai.folder / "data"))
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content, said",
    [(None, "cannot be read: Is a directory"), (b"\xff\x00key", "does not hold an API key"), (b"", "empty")],
)
def test_a_file_that_is_no_admin_key(vai: Vai, content: bytes | None, said: str) -> None:
    path = vai.folder / "data" / "admin.key"
    path.parent.mkdir()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = vai("serve", "--port", "0", VAI_DATA_DIR=str(path.parent))
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_server_leaves_the_key_to_its_owner_alone(server: Server) -> None:
    assert stat.S_IMODE((server.data_dir / "admin.key").stat().st_mode) == 0o600
    assert json.loads((server.data_dir / "server.json").read_text())["url"].startswith("http://127.0.0.1:")


def test_the_unexpected_is_one_sentence_and_shows_more_when_asked(vai: Vai) -> None:
    (vai.folder / "httpx.py").write_text("raise ZeroDivisionError('a broken installation')")
    done = vai("runs", "list", PYTHONPATH=str(vai.folder))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "vai did not expect this: ZeroDivisionError: a broken installation",
        "Set VAI_DEBUG=1 to see where it happened.",
    ]
    assert "Traceback" in vai("runs", "list", PYTHONPATH=str(vai.folder), VAI_DEBUG="1").stderr
