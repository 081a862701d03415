"""How a request signs in with a connection: basic, bearer or an API key in a header, to the connection's own server."""

import base64
from urllib.parse import urlsplit

from vai.ports import ActionFailed, Connection


def full_url(url: str, connection: Connection | None) -> str:
    """The whole address of a request. Raises ActionFailed `invalid_definition`.

    A connection with a `baseUrl` signs in to that server alone: its credentials are sent nowhere else.
    """
    base = "" if connection is None else str(connection.config.get("baseUrl") or "")
    if not url.lower().startswith(("http://", "https://")):
        if not base:
            raise ActionFailed("invalid_definition", "url: must begin with http:// or https://")
        url = f"{base.rstrip('/')}/{url.lstrip('/')}" if url else base
    if base and _origin(url) != _origin(base):
        raise ActionFailed("invalid_definition", "url: leads to another server than the connection's baseUrl")
    return url


def sign_in(connection: Connection) -> dict[str, str]:
    """The headers that sign in. Raises ActionFailed `invalid_connection` when the credentials have not what it takes.

    By the credentials' fields: `username` and `password` (basic), `token` (bearer), or `apiKey`, sent in the header
    that `config.headerName` names (X-API-Key by default).
    """
    given = {name: str(value) for name, value in connection.credentials.items()}
    if "token" in given:
        return {"Authorization": f"Bearer {given['token']}"}
    if "apiKey" in given:
        return {str(connection.config.get("headerName") or "X-API-Key"): given["apiKey"]}
    if "username" in given:
        pair = f"{given['username']}:{given.get('password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    sentence = f"The connection {connection.slug} has none of token, apiKey, or username and password."
    raise ActionFailed("invalid_connection", sentence)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)
    except ValueError:
        raise ActionFailed("invalid_definition", "url: cannot be read") from None
