"""The API's verbs, over HTTP. What the server refuses becomes one sentence; nothing else knows of httpx."""

import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from vai.cli.connection import Connection, find_connection
from vai.cli.exits import FAILED, UNREACHABLE, Failure
from vai.cli.faults import Fault, faults_of, sentence_of

# httpx brings its own command line along, and with it Pygments and more: half the time that a command takes to start.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

Body = dict[str, Any]
"""What the API answers, as it is."""

_PAGE = 1000
_SEARCHED = 10_000  # newest runs that a short id is looked for among
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Refused(Failure):
    """The server refused the request. `faults` has what is wrong with the body, if that was the reason."""

    def __init__(self, sentence: str, status: int, exit_code: int, faults: Sequence[Fault] = ()) -> None:
        super().__init__(sentence, exit_code)
        self.status = status
        self.faults = tuple(faults)


class Api:
    """The server, one method for each thing one can ask of it. Raises Failure or Refused, with a sentence."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._http = _http(connection)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- automations

    def automations(self) -> Body:
        """All automations, newest first."""
        return self._all("automations")

    def automation_named(self, name: str) -> Body | None:
        """The automation of exactly that name."""
        items = self._get("automations", name=name)["items"]
        return next((item for item in items if item["name"] == name), None)

    def automation(self, automation_id: str) -> Body:
        """One automation."""
        return self._get(f"automations/{automation_id}")

    def create_automation(self, body: Body) -> Body:
        """Define an automation; its first version is a draft."""
        return self._send("POST", "automations", body)

    def update_automation(self, automation_id: str, body: Body) -> Body:
        """Change an automation; a new config goes into its draft."""
        return self._send("PATCH", f"automations/{automation_id}", body)

    def delete_automation(self, automation_id: str) -> None:
        """Remove an automation with its versions and its final runs."""
        self._request("DELETE", f"automations/{automation_id}")

    def validate(self, config: Any) -> Body:
        """The normalised steps of a config, and its faults."""
        return self._send("POST", "automations/validate", {"config": config})

    def versions(self, automation_id: str) -> Sequence[Body]:
        """All versions of an automation, newest first."""
        body = self._json(self._request("GET", f"automations/{automation_id}/versions"))
        versions: list[Body] = body["items"] if isinstance(body, dict) else body
        return sorted(versions, key=lambda version: -version["number"])

    def publish(self, automation_id: str, number: int) -> Body:
        """Make a version the active one."""
        return self._send("POST", f"automations/{automation_id}/versions/{number}/publish", None)

    # --- runs

    def start_run(self, automation_id: str, body: Body, idempotency_key: str | None) -> Body:
        """Start a run."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._object(self._request("POST", f"automations/{automation_id}/runs", body, headers))

    def runs(
        self, *, status: Sequence[str] = (), automation_id: str | None = None, limit: int = 100, offset: int = 0
    ) -> Body:
        """Runs, newest first; of one automation, if given."""
        path = f"automations/{automation_id}/runs" if automation_id else "automation-runs"
        return self._get(path, status=list(status), limit=limit, offset=offset)

    def recent_runs(self) -> Iterator[Body]:
        """The newest runs, as many as a short id is looked for among."""
        for offset in range(0, _SEARCHED, _PAGE):
            items = self.runs(limit=_PAGE, offset=offset)["items"]
            yield from items
            if len(items) < _PAGE:
                return

    def run(self, run_id: str) -> Body:
        """One run."""
        return self._get(f"automation-runs/{run_id}")

    def steps(self, run_id: str, attempt: int | None = None) -> Body:
        """A run's steps, as they stand or as they stood in an earlier attempt."""
        return self._get(f"automation-runs/{run_id}/steps", attempt=attempt)

    def cancel(self, run_id: str) -> Body:
        """Ask for the run's end."""
        return self._send("POST", f"automation-runs/{run_id}/cancel", None)

    def retry(self, run_id: str, body: Body) -> Body:
        """Take a final run up again."""
        return self._send("POST", f"automation-runs/{run_id}/retry", body)

    def retry_plan(self, run_id: str, body: Body) -> Body:
        """What a retry would do to each step."""
        return self._send("POST", f"automation-runs/{run_id}/retry-plan", body)

    def events_page(self, run_id: str, after: int) -> Sequence[Body]:
        """Stored events with a number above `after`."""
        path = f"automation-runs/{run_id}/events"
        params = {"after": after, "limit": _PAGE}
        response = self._request("GET", path, headers={"Accept": "application/json"}, params=params)
        items: Sequence[Body] = self._object(response)["items"]
        return items

    def events(self, run_id: str) -> Iterator[Body]:
        """All stored events of a run."""
        after = 0
        while page := self.events_page(run_id, after):
            yield from page
            after = page[-1]["seq"]

    def open_stream(self, run_id: str, after: int, read_timeout: float) -> "httpx.Response":
        """An open event stream behind `after`; the caller closes it. Lost connections raise httpx.TransportError."""
        request = self._http.build_request(
            "GET",
            f"automation-runs/{run_id}/events",
            headers={"Accept": "text/event-stream", "Last-Event-ID": str(after)},
            timeout=httpx.Timeout(read_timeout, connect=5.0),
        )
        response = self._http.send(request, stream=True)
        if response.status_code != httpx.codes.OK:
            response.read()
            self._refuse(response)
        return response

    def reconnect(self) -> None:
        """Find the server again: one that was started again may have another address."""
        if self.connection.url_from.endswith("server.json"):
            self.connection = find_connection(None)
            self._http.close()
            self._http = _http(self.connection)

    # --- kinds

    def kinds(self) -> Body:
        """What steps can do, with the JSON Schema of each definition."""
        return self._all("kinds")

    # --- requests

    def _all(self, path: str) -> Body:
        body = self._json(self._request("GET", path, params={"limit": _PAGE}))
        return body if isinstance(body, dict) else {"items": body, "total": len(body)}

    def _get(self, path: str, **params: Any) -> Body:
        given = {name: value for name, value in params.items() if value is not None}
        return self._object(self._request("GET", path, params=given))

    def _send(self, method: str, path: str, body: Any) -> Body:
        return self._object(self._request(method, path, body))

    def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        sent = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        try:
            response = self._http.request(method, path, content=content, headers=sent, params=params)
        except httpx.ConnectError as error:
            raise self.not_there() from error
        except httpx.TimeoutException as error:
            raise Failure(f"The server at {self.connection.url} did not answer in time.", UNREACHABLE) from error
        except httpx.TransportError as error:
            raise Failure(f"The connection to {self.connection.url} was lost: {error}.", UNREACHABLE) from error
        if not response.is_success:
            self._refuse(response)
        return response

    def not_there(self) -> Failure:
        """The failure of a server that cannot be reached."""
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

    def _object(self, response: httpx.Response) -> Body:
        body = self._json(response)
        if not isinstance(body, dict):
            raise self._not_vai()
        return body

    def _json(self, response: httpx.Response) -> Any:
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise self._not_vai() from error

    def _not_vai(self) -> Failure:
        return Failure(f"What answers at {self.connection.url} is not vai. Set VAI_API_URL to a vai server.", FAILED)


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


def connect(api_url: str | None) -> Api:
    """The API of the server that `api_url`, the environment or the data folder names."""
    return Api(find_connection(api_url))


def is_uuid(text: str) -> bool:
    """True when `text` is a whole id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
