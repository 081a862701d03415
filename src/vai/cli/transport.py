"""Requests to the server and what becomes of its answers: a body, or one sentence. Nothing else knows of httpx."""

import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec

from vai.cli.connection import Connection, find_connection
from vai.cli.exits import FAILED, UNREACHABLE, Failure
from vai.cli.faults import Fault, faults_of, sentence_of

# httpx brings its own command line along, and with it Pygments and more: half the time that a command takes to start.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

Body = dict[str, Any]
"""What the API answers, as it is."""

PAGE = 1000
"""The most that a list gives at once."""

_CONNECT_SECONDS = 5.0
_CONTENT_SECONDS = 60.0
_TIMEOUT = httpx.Timeout(30.0, connect=_CONNECT_SECONDS)

ConnectionLost = httpx.TransportError
Stream = httpx.Response


class Refused(Failure):
    """The server refused the request. `faults` has what is wrong with the body, if that was the reason."""

    def __init__(self, sentence: str, status: int, exit_code: int, faults: Sequence[Fault] = ()) -> None:
        super().__init__(sentence, exit_code)
        self.status = status
        self.faults = tuple(faults)


class Transport:
    """The server as one that answers requests. Raises Failure or Refused, with a sentence."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._http = _http(connection)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def reconnect(self) -> None:
        """Find the server again: one that was started again may have another address."""
        if self.connection.url_from.endswith("server.json"):
            self.connection = find_connection(None)
            self._http.close()
            self._http = _http(self.connection)

    def all(self, path: str) -> Body:
        """A whole list, as far as it is given at once."""
        body = self.json_of(self.request("GET", path, params={"limit": PAGE}))
        return body if isinstance(body, dict) else {"items": body, "total": len(body)}

    def get(self, path: str, **params: Any) -> Body:
        """What is there; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self.object_of(self.request("GET", path, params=given))

    def send(self, method: str, path: str, body: Any) -> Body:
        """What the server answers to a body."""
        return self.object_of(self.request(method, path, body))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """The answer to a request that was not refused."""
        content = None if body is None else msgspec.json.encode(body)
        sent = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        try:
            response = self._http.request(method, path, content=content, headers=sent, params=params)
        except httpx.ConnectError as error:
            raise self._not_there() from error
        except httpx.TimeoutException as error:
            raise Failure(f"The server at {self.connection.url} did not answer in time.", UNREACHABLE) from error
        except httpx.TransportError as error:
            raise Failure(f"The connection to {self.connection.url} was lost: {error}.", UNREACHABLE) from error
        if not response.is_success:
            self._refuse(response)
        return response

    def _not_there(self) -> Failure:
        where = f"{self.connection.url} (from {self.connection.url_from})"
        return Failure(
            f"There is no server at {where}. Start one with 'vai serve', or set VAI_API_URL to one that runs.",
            UNREACHABLE,
        )

    def _refuse(self, response: httpx.Response) -> None:
        connection = self.connection
        if response.status_code == httpx.codes.UNAUTHORIZED:
            sentence = (
                f"The server at {connection.url} does not accept the API key from {connection.key_from}. "
                "Set VAI_API_KEY to one of its keys, or VAI_DATA_DIR to its data folder."
            )
            raise Refused(sentence, response.status_code, UNREACHABLE)
        try:
            body = msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict):
            reason = f"What answers at {connection.url} is not vai: {response.status_code} {response.reason_phrase}."
            raise Refused(reason, response.status_code, FAILED)
        raise Refused(sentence_of(body, response.status_code), response.status_code, FAILED, faults_of(body))

    def object_of(self, response: httpx.Response) -> Body:
        """The object that an answer holds."""
        body = self.json_of(response)
        if not isinstance(body, dict):
            raise self._not_vai()
        return body

    def json_of(self, response: httpx.Response) -> Any:
        """The JSON that an answer holds."""
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise self._not_vai() from error

    def _not_vai(self) -> Failure:
        return Failure(f"What answers at {self.connection.url} is not vai. Set VAI_API_URL to a vai server.", FAILED)

    def pieces(self, path: str) -> Iterator[bytes]:
        """What is there, as it comes. The first piece comes once the server has agreed."""
        try:
            with closing(self.open_stream(path, {"Accept-Encoding": "identity"}, _CONTENT_SECONDS)) as stream:
                yield from stream.iter_raw()
        except httpx.ConnectError as error:
            raise self._not_there() from error
        except httpx.TransportError as error:
            raise Failure(f"The connection to {self.connection.url} was lost: {error}.", UNREACHABLE) from error

    def open_stream(self, path: str, headers: dict[str, str], read_timeout: float) -> httpx.Response:
        """An open stream, which the caller closes. Raises ConnectionLost."""
        timeout = httpx.Timeout(read_timeout, connect=_CONNECT_SECONDS)
        request = self._http.build_request("GET", path, headers=headers, timeout=timeout)
        response = self._http.send(request, stream=True)
        if response.status_code != httpx.codes.OK:
            response.read()
            self._refuse(response)
        return response


def _http(connection: Connection) -> httpx.Client:
    secure = connection.url.startswith("https:")
    return httpx.Client(
        base_url=f"{connection.url}/api/v1/",
        headers={"X-API-Key": connection.key, "User-Agent": "vai-cli"},
        timeout=_TIMEOUT,
        trust_env=not connection.is_local,  # a proxy has no way to this machine
        # Without TLS there is no need to read all the certificates of the system; an https redirect would not verify.
        verify=True if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
