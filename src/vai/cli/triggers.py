"""`vai triggers`: what starts runs besides people."""

from typing import Annotated, Any

import typer

from vai.cli import output
from vai.cli.client import Api, Body, connect, is_uuid
from vai.cli.exits import FAILED, Failure
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column
from vai.cli.references import AUTOMATION_HELP, find_automation

app = group("Triggers: what starts runs besides people, such as schedules and webhooks.")

Reference = Annotated[
    str,
    typer.Argument(
        metavar="TRIGGER", help="A trigger: its id, or AUTOMATION/KEY; AUTOMATION if it has one.", show_default=False
    ),
]

_COLUMNS = [
    Column("KEY", flexible=True),
    Column("TYPE"),
    Column("STATE"),
    Column("NEXT DUE"),
    Column("LAST RUN", from_width=70),
    Column("ID", from_width=70),
]


@app.command("list")
def list_triggers(
    automation: Annotated[str, typer.Argument(metavar="AUTOMATION", help=AUTOMATION_HELP, show_default=False)],
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """List the triggers of an automation's active version."""
    api = connect(api_url)
    found = api.triggers(find_automation(api, automation)["id"])
    if json:
        output.emit(found)
        return
    if not found["items"]:
        output.note(
            "It has no triggers. They stand under 'triggers' in the definition, and begin when it is published."
        )
        return
    out = output.console()
    rows: list[list[Any]] = [
        [
            one["key"],
            one["type"],
            _state(one),
            output.local_time(one["nextDueAt"]),
            output.short_id(one["lastRunId"]),
            output.short_id(one["id"]),
        ]
        for one in found["items"]
    ]
    out.print(output.table(_COLUMNS, rows, out.width))


@app.command()
def show(trigger: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Show a trigger; of a webhook also where deliveries go."""
    api = connect(api_url)
    _show(api, _find(api, trigger), json=json)


@app.command()
def pause(trigger: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Let it start nothing until it is resumed, in later versions too."""
    api = connect(api_url)
    _show(api, api.pause_trigger(_find(api, trigger)["id"]), json=json)


@app.command()
def resume(trigger: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Let it go on. What fell into the pause is made up for only as its catchUp says."""
    api = connect(api_url)
    _show(api, api.resume_trigger(_find(api, trigger)["id"]), json=json)


@app.command("next")
def next_runs(
    trigger: Reference,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many.")] = 5,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """When a schedule is due next."""
    api = connect(api_url)
    found = api.next_runs(_find(api, trigger)["id"], count)
    if json:
        output.emit(found)
        return
    for due in found["nextRuns"]:
        output.console().print(f"{due}  {output.local_time(due)}", markup=False)


def _find(api: Api, reference: str) -> Body:
    if is_uuid(reference):
        return api.trigger(reference.lower())
    name, slash, key = reference.rpartition("/")
    automation = find_automation(api, name if slash else reference)
    items = api.triggers(automation["id"])["items"]
    fitting = [one for one in items if not slash or one["key"] == key]
    if len(fitting) == 1:
        one: Body = fitting[0]
        return one
    keys = ", ".join(one["key"] for one in items) or "none"
    raise Failure(f"Name one trigger of {automation['name']} as AUTOMATION/KEY; its keys are: {keys}.", FAILED)


def _state(trigger: Body) -> str:
    if trigger["paused"]:
        return "paused"
    return "on, with an error" if trigger["lastError"] else "on"


def _show(api: Api, trigger: Body, *, json: bool) -> None:
    if json:
        output.emit(trigger)
        return
    facts = [(name, output.clean(trigger[name])) for name in ("key", "type", "id", "automationId")]
    facts += [(name, output.clean(str(value))) for name, value in trigger["config"].items() if value is not None]
    if trigger["url"]:
        facts.append(("url", output.clean(api.address_of(trigger["url"]))))
    facts.append(("state", _state(trigger)))
    facts += [(name, output.local_time(trigger[name])) for name in ("nextDueAt", "lastDueAt") if trigger[name]]
    facts += [(name, output.clean(trigger[name])) for name in ("lastRunId", "lastError") if trigger[name]]
    output.console().print(output.facts(facts))
