"""The API's verbs, one method for each thing one can ask of the server."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from vai.cli.connection import Connection, find_connection
from vai.cli.transport import PAGE, Body, Refused, Stream, Transport

__all__ = ["Api", "Body", "Refused", "connect", "is_uuid"]

_SEARCHED = 10_000  # newest runs that a short id is looked for among


class Api:
    """The server, one method for each thing one can ask of it. Raises Failure or Refused, with a sentence."""

    def __init__(self, connection: Connection) -> None:
        self.transport = Transport(connection)
        self._url = connection.url.rstrip("/")

    def address_of(self, path: str) -> str:
        """The whole address of a path of the server."""
        return self._url + path

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    # --- automations

    def automations(self) -> Body:
        """All automations, newest first."""
        return self.transport.all("automations")

    def automation_named(self, name: str) -> Body | None:
        """The automation of exactly that name."""
        items = self.transport.get("automations", name=name)["items"]
        return next((item for item in items if item["name"] == name), None)

    def automation(self, automation_id: str) -> Body:
        """One automation."""
        return self.transport.get(f"automations/{automation_id}")

    def create_automation(self, body: Body) -> Body:
        """Define an automation; its first version is a draft."""
        return self.transport.send("POST", "automations", body)

    def update_automation(self, automation_id: str, body: Body) -> Body:
        """Change an automation; a new config goes into its draft."""
        return self.transport.send("PATCH", f"automations/{automation_id}", body)

    def delete_automation(self, automation_id: str) -> None:
        """Remove an automation with its versions and its final runs."""
        self.transport.request("DELETE", f"automations/{automation_id}")

    def validate(self, config: Any) -> Body:
        """The normalised steps of a config, and its faults."""
        return self.transport.send("POST", "automations/validate", {"config": config})

    def versions(self, automation_id: str) -> Sequence[Body]:
        """All versions of an automation, newest first."""
        body = self.transport.json_of(self.transport.request("GET", f"automations/{automation_id}/versions"))
        versions: list[Body] = body["items"] if isinstance(body, dict) else body
        return sorted(versions, key=lambda version: -version["number"])

    def publish(self, automation_id: str, number: int) -> Body:
        """Make a version the active one."""
        return self.transport.send("POST", f"automations/{automation_id}/versions/{number}/publish", None)

    # --- runs

    def start_run(self, automation_id: str, body: Body, idempotency_key: str | None) -> Body:
        """Start a run."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.transport.object_of(
            self.transport.request("POST", f"automations/{automation_id}/runs", body, headers)
        )

    def runs(
        self, *, status: Sequence[str] = (), automation_id: str | None = None, limit: int = 100, offset: int = 0
    ) -> Body:
        """Runs, newest first; of one automation, if given."""
        path = f"automations/{automation_id}/runs" if automation_id else "automation-runs"
        return self.transport.get(path, status=list(status), limit=limit, offset=offset)

    def recent_runs(self) -> Iterator[Body]:
        """The newest runs, as many as a short id is looked for among."""
        for offset in range(0, _SEARCHED, PAGE):
            items = self.runs(limit=PAGE, offset=offset)["items"]
            yield from items
            if len(items) < PAGE:
                return

    def run(self, run_id: str) -> Body:
        """One run."""
        return self.transport.get(f"automation-runs/{run_id}")

    def steps(self, run_id: str, attempt: int | None = None) -> Body:
        """A run's steps, as they stand or as they stood in an earlier attempt."""
        return self.transport.get(f"automation-runs/{run_id}/steps", attempt=attempt)

    def explain(self, run_id: str) -> Body:
        """Why a run stands where it stands."""
        return self.transport.get(f"automation-runs/{run_id}/explain")

    def cancel(self, run_id: str) -> Body:
        """Ask for the run's end."""
        return self.transport.send("POST", f"automation-runs/{run_id}/cancel", None)

    def retry(self, run_id: str, body: Body) -> Body:
        """Take a final run up again."""
        return self.transport.send("POST", f"automation-runs/{run_id}/retry", body)

    def prune(self, body: Body) -> Body:
        """Remove final runs; some of them, if there are many."""
        return self.transport.send("POST", "automation-runs/prune", body)

    def retry_plan(self, run_id: str, body: Body) -> Body:
        """What a retry would do to each step."""
        return self.transport.send("POST", f"automation-runs/{run_id}/retry-plan", body)

    def events_page(self, run_id: str, after: int) -> Sequence[Body]:
        """Stored events with a number above `after`."""
        path = f"automation-runs/{run_id}/events"
        params = {"after": after, "limit": PAGE}
        response = self.transport.request("GET", path, headers={"Accept": "application/json"}, params=params)
        items: Sequence[Body] = self.transport.object_of(response)["items"]
        return items

    def events(self, run_id: str) -> Iterator[Body]:
        """All stored events of a run."""
        after = 0
        while page := self.events_page(run_id, after):
            yield from page
            after = page[-1]["seq"]

    def open_events(self, run_id: str, after: int, silence: float) -> Stream:
        """The open stream behind `after`, for the caller to close; `silence` seconds end it. Raises ConnectionLost."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        return self.transport.open_stream(f"automation-runs/{run_id}/events", headers, silence)

    # --- decisions

    def decisions(
        self, *, status: Sequence[str] = (), run_id: str | None = None, mine: bool = False, limit: int = 100
    ) -> Body:
        """Decisions, newest first."""
        return self.transport.get("decisions", status=list(status), run=run_id, mine=mine or None, limit=limit)

    def decision(self, decision_id: str) -> Body:
        """One decision."""
        return self.transport.get(f"decisions/{decision_id}")

    def decide(self, decision_id: str, word: str, body: Body) -> Body:
        """Answer a decision; `word` is approve or reject."""
        return self.transport.send("POST", f"decisions/{decision_id}/{word}", body)

    # --- connections

    def connections(self) -> Iterator[Body]:
        """All connections, newest first."""
        offset, more = 0, True
        while more:
            page = self.transport.get("connections", limit=100, offset=offset)
            yield from page["connections"]
            offset, more = offset + 100, page["hasNext"]

    def connection(self, connection_id: str) -> Body:
        """One connection."""
        return self.transport.get(f"connections/{connection_id}")

    def create_connection(self, body: Body) -> Body:
        """Make a connection."""
        return self.transport.send("POST", "connections", body)

    def update_connection(self, connection_id: str, body: Body) -> Body:
        """Change a connection."""
        return self.transport.send("PATCH", f"connections/{connection_id}", body)

    def delete_connection(self, connection_id: str) -> None:
        """Remove a connection."""
        self.transport.request("DELETE", f"connections/{connection_id}")

    def verify_connection(self, connection_id: str) -> Body:
        """Try a connection."""
        return self.transport.send("POST", f"connections/{connection_id}/verify", None)

    # --- triggers

    def triggers(self, automation_id: str) -> Body:
        """Those of an automation's active version."""
        return self.transport.get(f"automations/{automation_id}/triggers")

    def trigger(self, trigger_id: str) -> Body:
        """One trigger."""
        return self.transport.get(f"triggers/{trigger_id}")

    def pause_trigger(self, trigger_id: str) -> Body:
        """Let it start nothing."""
        return self.transport.send("POST", f"triggers/{trigger_id}/pause", None)

    def resume_trigger(self, trigger_id: str) -> Body:
        """Let it go on."""
        return self.transport.send("POST", f"triggers/{trigger_id}/resume", None)

    def next_runs(self, trigger_id: str, count: int) -> Body:
        """When a schedule is due next."""
        return self.transport.get(f"triggers/{trigger_id}/next", count=count)

    # --- artifacts

    def artifacts(self, **asked: Any) -> Body:
        """A page of artifacts, newest first."""
        return self.transport.get("artifacts", **asked)

    def artifact_content(self, artifact_id: str) -> Iterator[bytes]:
        """The content of an artifact, in pieces."""
        return self.transport.pieces(f"artifacts/{artifact_id}/content")

    # --- events

    def post_event(self, body: Body, idempotency_key: str | None) -> Body:
        """Tell of an event."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.transport.object_of(self.transport.request("POST", "events", body, headers))

    # --- kinds

    def kinds(self) -> Body:
        """What steps can do, with the JSON Schema of each definition."""
        return self.transport.all("kinds")


def connect(api_url: str | None) -> Api:
    """The API of the server that `api_url`, the environment or the data folder names."""
    return Api(find_connection(api_url))


def is_uuid(text: str) -> bool:
    """True when `text` is a whole id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
