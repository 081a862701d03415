"""Trying a connection, where its provider is known here."""

import importlib
from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from vai.actions.http_sign_in import sign_in
from vai.ports import ActionFailed, Connection

SECONDS = 10
HTTP = frozenset({"http", "basic", "bearer", "api_key"})


async def try_connection(connection: Connection) -> tuple[bool | None, str]:
    """Whether it works (None: it cannot be tried), and a sentence without secrets."""
    if connection.provider in HTTP:
        url = connection.config.get("testUrl")
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            return None, "Name an address to try in config.testUrl, which answers 2xx to good credentials."
        return await _try_http(connection, url)
    if connection.provider in ("postgres", "postgresql"):
        return await anyio.to_thread.run_sync(_try_postgres, connection)
    return (
        None,
        f"Connections of the provider {connection.provider!r} cannot be verified; steps use it all the same.",
    )


async def _try_http(connection: Connection, url: str) -> tuple[bool, str]:
    httpx = await anyio.to_thread.run_sync(importlib.import_module, "httpx")
    try:
        headers = sign_in(connection) if connection.credentials else {}
        # Streamed: the body may be endless, and nothing of it is wanted.
        client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=False)
        async with client, client.stream("GET", url, headers=headers) as response:
            status: int = response.status_code
    except ActionFailed as failure:
        return False, failure.error.message
    except Exception as error:
        return False, f"config.testUrl could not be asked ({type(error).__name__})."
    return 200 <= status < 300, f"config.testUrl answered {status}."


def _try_postgres(connection: Connection) -> tuple[bool, str]:
    psycopg = importlib.import_module("psycopg")
    try:
        given = connection_info(connection)
        url = given.pop("url", "")
        psycopg.connect(url, **given, connect_timeout=SECONDS).close()
    except Exception as error:  # its text may hold the address with the password
        return False, f"The database could not be reached or did not let us in ({type(error).__name__})."
    return True, "The database let us in."


def connection_info(connection: Connection) -> dict[str, Any]:
    """What libpq is told: the `url` among the credentials, else host, port and so on from both."""
    known: Mapping[str, str] = {"host": "host", "port": "port", "database": "dbname", "username": "user"}
    given = {**connection.config, **connection.credentials}
    if "url" in given:
        return {"url": str(given["url"])}
    return {word: given[name] for name, word in {**known, "password": "password"}.items() if name in given}
