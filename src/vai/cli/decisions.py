"""`vai decisions`: what runs ask of people, and the answers."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vai.cli import output
from vai.cli.client import Body, connect
from vai.cli.exits import usage
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column
from vai.cli.reading import read_json
from vai.cli.references import DECISION_HELP, RUN_HELP, find_decision, find_run

app = group("What runs ask of people.")

Reference = Annotated[str, typer.Argument(metavar="DECISION", help=DECISION_HELP, show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Why; it is kept with the decision.")]
Fields = Annotated[
    str | None,
    typer.Option(metavar="JSON|@FILE", help="What is filled in: a JSON object, a file of it, or - for stdin."),
]

_COLUMNS = [
    Column("DECISION"),
    Column("RUN", from_width=60),
    Column("STEP", from_width=50),
    Column("TITLE", flexible=True),
    Column("STATUS"),
    Column("FOR", from_width=90, flexible=True),
    Column("AGE", from_width=40),
]


@app.command("list")
def list_decisions(
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only these: pending, approved, rejected, expired, withdrawn; may be repeated."),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help=RUN_HELP)] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those that you may decide.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="How many.")] = 20,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """List decisions, newest first."""
    api = connect(api_url)
    run_id = None if run is None else find_run(api, run)
    body = api.decisions(status=status or (), run_id=run_id, mine=mine, limit=limit)
    if json:
        output.emit(body)
        return
    if not body["items"]:
        output.note("There is no such decision." if status or run or mine else "Nobody has been asked anything yet.")
        return
    out = output.console()
    out.print(_rows(body, out))
    if body["total"] > len(body["items"]):
        output.hint(f"{len(body['items']):,} of {body['total']:,} decisions; --limit shows more.")


@app.command()
def show(decision: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Show what is asked, what is to be filled in, and what became of it."""
    api = connect(api_url)
    _show(api.decision(find_decision(api, decision)), json=json)


@app.command()
def approve(
    decision: Reference, reason: Reason = None, fields: Fields = None, json: Json = False, api_url: ApiUrl = None
) -> None:
    """Say yes: the run goes on. Of an interrupted step: it had happened, and the fields are its result."""
    _decide("approve", decision, _answer(reason, fields), json, api_url)


@app.command()
def reject(
    decision: Reference, reason: Reason = None, fields: Fields = None, json: Json = False, api_url: ApiUrl = None
) -> None:
    """Say no: the step fails. Of an interrupted step: it had not happened, and runs again."""
    _decide("reject", decision, _answer(reason, fields), json, api_url)


def _answer(reason: str | None, fields: str | None) -> Body:
    filled = read_json(fields)
    if fields is not None and not isinstance(filled, dict):
        usage("--fields has to be a JSON object.")
    given = {"reason": reason, "fields": filled}
    return {name: value for name, value in given.items() if value is not None}


def _decide(word: str, reference: str, answer: Body, json: bool, api_url: str | None) -> None:
    api = connect(api_url)
    decided = api.decide(find_decision(api, reference), word, answer)
    if json:
        output.emit(decided)
        return
    out = output.console()
    status = output.status_text(decided["status"], out)
    out.print(status + Text(f": {output.clean(decided['title'])}"), soft_wrap=True)
    output.hint(f"Follow the run with 'vai runs watch {output.short_id(decided['runId'])}'.")


def _rows(body: Body, out: Console) -> Table:
    rows: list[list[str | Text]] = [
        [
            output.short_id(one["id"]),
            output.short_id(one["runId"]),
            one["stepKey"],
            one["title"],
            output.status_text(one["status"], out),
            ", ".join(one["assignees"]) or "everybody",
            output.age(one["createdAt"]),
        ]
        for one in body["items"]
    ]
    return output.table(_COLUMNS, rows, out.width)


def _show(decision: Body, *, json: bool) -> None:
    if json:
        output.emit(decision)
        return
    out = output.console()
    expiry = f"{output.local_time(decision['expiresAt'])}, then {decision['onExpire']}" if decision["expiresAt"] else ""
    facts: list[tuple[str, str | Text]] = [
        ("status", output.status_text(decision["status"], out)),
        ("title", decision["title"]),
        ("message", decision["message"] or ""),
        ("for", ", ".join(decision["assignees"]) or "everybody"),
        ("run", f"{decision['runId']}, step {decision['stepKey']}, attempt {decision['attempt']}"),
        ("decision", decision["id"]),
        ("asked", output.moment(decision["createdAt"])),
        ("expires", expiry),
        ("to fill in", output.json_text(decision["fieldsSchema"])),
        ("decided", output.moment(decision["decidedAt"])),
        ("by", decision["decidedByName"] or decision["decidedBy"] or ""),
        ("reason", decision["reason"] or ""),
        ("fields", output.json_text(decision["fields"])),
    ]
    out.print(output.facts(facts))
