"""`vai events`: the log of the organization, and events for the steps that wait for one."""

from typing import Annotated, Any

import typer

from vai.cli import output
from vai.cli.client import connect
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column
from vai.cli.reading import read_json

app = group("Events of the organization: what happened, and what runs wait for.")

EventType = Annotated[str, typer.Argument(metavar="TYPE", help="For example payment.received.", show_default=False)]
Payload = Annotated[
    str | None, typer.Option("--payload", "-p", metavar="JSON|@FILE|-", help="What the event says.", show_default=False)
]
Key = Annotated[str | None, typer.Option(help="Told again with the same key, it counts once.", show_default=False)]
Correlation = Annotated[
    str | None, typer.Option(metavar="ID", help="All that followed from one cause.", show_default=False)
]

_COLUMNS = [
    Column("TIME"),
    Column("TYPE", flexible=True),
    Column("ABOUT", from_width=80, flexible=True),
    Column("BY", from_width=100),
]


@app.command("list")
def list_events(
    event_type: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Of this type.")] = None,
    resource: Annotated[str | None, typer.Option(metavar="ID", help="About this run, automation, …")] = None,
    correlation: Correlation = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 30,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """List what happened, newest first."""
    api = connect(api_url)
    if correlation is not None:
        page = api.transport.get(f"events/correlation/{correlation}", limit=limit)
    else:
        page = api.transport.get("events", event_type=event_type, resource_id=resource, limit=limit)
    if json:
        output.emit(page)
        return
    if not page["events"]:
        output.note("Nothing like that has happened yet.")
        return
    out = output.console()
    rows: list[list[Any]] = [
        [output.local_time(event["occurredAt"]), event["eventType"], _about(event), _by(event)]
        for event in page["events"]
    ]
    out.print(output.table(_COLUMNS, rows, out.width))


@app.command()
def get(
    event: Annotated[str, typer.Argument(metavar="ID", help="The event's id.", show_default=False)],
    api_url: ApiUrl = None,
) -> None:
    """Show an event whole, as JSON."""
    output.emit(connect(api_url).transport.get(f"events/{event}"))


@app.command()
def post(
    event_type: EventType, payload: Payload = None, key: Key = None, json: Json = False, api_url: ApiUrl = None
) -> None:
    """Tell of an event: every step that waits for it goes on."""
    body = {"eventType": event_type, "payload": None if payload is None else read_json(payload)}
    told = connect(api_url).post_event(body, key)
    if json:
        output.emit(told)
    else:
        output.console().print(f"✓ {event_type}: event {told['id']}", markup=False, soft_wrap=True)


@app.command()
def count(json: Json = False, api_url: ApiUrl = None) -> None:
    """Count events by their type."""
    counts = connect(api_url).transport.get("events/aggregate")
    if json:
        output.emit(counts)
        return
    out = output.console()
    rows = [[one["key"], str(one["count"])] for one in counts["byEventType"]]
    out.print(output.table([Column("TYPE", flexible=True), Column("EVENTS")], rows, out.width))


def _about(event: Any) -> str:
    return " ".join(word for word in (event["resourceType"], output.short_id(event["resourceId"])) if word)


def _by(event: Any) -> str:
    return " ".join(word for word in (event["actorType"], output.short_id(event["actorId"])) if word)
