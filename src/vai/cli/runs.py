"""`vai runs`: start them, look at them, follow, cancel and retry them."""

from typing import Annotated

import typer

from vai.cli import output
from vai.cli.client import Api, Body, connect
from vai.cli.exits import FAILED, usage
from vai.cli.live import FINAL
from vai.cli.options import ApiUrl, Input, Json, group
from vai.cli.reading import read_json
from vai.cli.references import AUTOMATION_HELP, RUN_HELP, find_automation, find_run
from vai.cli.runs_logs import print_logs
from vai.cli.runs_view import explanation_rows, plan_page, run_page, run_rows, steps_page
from vai.cli.watching import wait_final, watch_run

app = group("Start runs, and follow them.")

Reference = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the run; the exit code says how it ended.")]


@app.command()
def start(
    automation: Annotated[str, typer.Argument(metavar="NAME_OR_ID", help=AUTOMATION_HELP, show_default=False)],
    input: Input = None,
    key: Annotated[
        str | None, typer.Option(help="Concurrency key: kept with the run and shown; it holds nothing back yet.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Which version.", show_default="the active one")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again answers the same run, and starts none.")
    ] = None,
    watch: Watch = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Start a run of an automation."""
    run_input = read_json(input)
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        usage("--idempotency-key goes into a header: plain letters, digits and signs only.")
    api = connect(api_url)
    found = find_automation(api, automation)
    asked = {"input": run_input, "concurrencyKey": key, "versionNumber": version}
    body = {name: value for name, value in asked.items() if value is not None}
    run = api.start_run(found["id"], body, idempotency_key)
    if watch:
        raise typer.Exit(watch_run(api, run, json=json))
    if json:
        output.emit(run)
        return
    output.console().print(f"✓ {output.clean(found['name'])}: run {run['id']} is started", soft_wrap=True)
    output.hint(f"Follow it with 'vai runs watch {output.short_id(run['id'])}'.")


@app.command("list")
def list_runs(
    status: Annotated[
        list[str] | None, typer.Option(help="Only these: pending, running, completed, failed, …; may be repeated.")
    ] = None,
    automation: Annotated[str | None, typer.Option(metavar="NAME_OR_ID", help="Only of this automation.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="How many.")] = 20,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """List runs, newest first."""
    api = connect(api_url)
    automation_id = find_automation(api, automation)["id"] if automation else None
    body = api.runs(status=status or (), automation_id=automation_id, limit=limit)
    if json:
        output.emit(body)
        return
    if not body["items"]:
        output.note("There is no such run." if status or automation else "There is no run yet.")
        return
    out = output.console()
    names = {item["id"]: item["name"] for item in api.automations()["items"]}
    out.print(run_rows(body["items"], names, out))
    if body["total"] > len(body["items"]):
        output.hint(f"{len(body['items']):,} of {body['total']:,} runs; --limit shows more.")


@app.command()
def show(run: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Show a run and its steps."""
    api = connect(api_url)
    found = api.run(find_run(api, run))
    if json:
        output.emit(found)
        return
    out = output.console()
    name = api.automation(found["automationId"])["name"]
    out.print(run_page(found, api.steps(found["id"]), name, out))
    if found["status"] in ("failed", "cancelled"):
        short = output.short_id(found["id"])
        output.hint(
            f"'vai runs retry {short}' takes it up again where it failed; with --plan it only says what would run."
        )


@app.command()
def steps(
    run: Reference,
    attempt: Annotated[int | None, typer.Option(min=1, help="As an earlier attempt left them.")] = None,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Show the steps of a run."""
    api = connect(api_url)
    body = api.steps(find_run(api, run), attempt)
    if json:
        output.emit(body)
        return
    out = output.console()
    out.print(steps_page(body, out))


@app.command()
def explain(run: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Say why a run, or a step of it, is not moving, and what one can do."""
    api = connect(api_url)
    body = api.explain(find_run(api, run))
    if json:
        output.emit(body)
        return
    out = output.console()
    out.print(explanation_rows(body, out))


@app.command()
def watch(run: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Follow a run until it ends; the exit code says how. A lost connection is taken up again.

    With --json: its events, one a line. Ctrl-C stops watching, not the run.
    """
    api = connect(api_url)
    raise typer.Exit(watch_run(api, api.run(find_run(api, run)), json=json))


@app.command()
def logs(
    run: Reference,
    step: Annotated[str | None, typer.Option(metavar="KEY", help="Only of this step.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Show what the steps of a run logged. With --json: the log events, one a line."""
    api = connect(api_url)
    raise typer.Exit(print_logs(api, find_run(api, run), step, follow=follow, json=json))


@app.command()
def cancel(
    run: Reference,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run's end; 0 when it was cancelled, else 1.")
    ] = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Cancel a run. What is at work is asked to stop, and stopped."""
    api = connect(api_url)
    run_id = find_run(api, run)
    body = api.cancel(run_id)
    if wait and body["status"] not in FINAL:
        body = wait_final(api, run_id)
    if json:
        output.emit(body)
    else:
        output.console().print(_cancelled(body), soft_wrap=True)
    if wait and body["status"] != "cancelled":
        raise typer.Exit(FAILED)


def _cancelled(run: Body) -> str:
    short = output.short_id(run["id"])
    if run["status"] == "cancelled":
        return f"⊘ run {short} is cancelled"
    if run["status"] in FINAL:
        return f"– run {short} was over already: {run['status']}"
    return f"⊘ run {short} is being cancelled"


@app.command()
def retry(
    run: Reference,
    from_step: Annotated[
        str | None, typer.Option(metavar="KEY", help="Run this step again, and all that hangs on it.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Run every step again.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would run again, and why.")] = False,
    watch: Watch = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Take a finished run up again, as its next attempt: what did not complete, and all that hangs on it."""
    if full and from_step is not None:
        usage("--full and --from-step exclude each other.")
    if plan and watch:
        usage("--plan changes nothing: there is nothing to watch.")
    api = connect(api_url)
    run_id = find_run(api, run)
    mode = "full" if full else "from_failed" if from_step is None else "from_step"
    body: Body = {"mode": mode, **({} if from_step is None else {"stepKey": from_step})}
    if plan:
        _show_plan(api, run_id, body, json)
        return
    retried = api.retry(run_id, body)
    if watch:
        raise typer.Exit(watch_run(api, retried, json=json, from_attempt=retried["attempt"]))
    if json:
        output.emit(retried)
        return
    short = output.short_id(run_id)
    output.console().print(f"⟳ run {short} is taken up again: attempt {retried['attempt']}", soft_wrap=True)
    output.hint(f"Follow it with 'vai runs watch {short}'.")


def _show_plan(api: Api, run_id: str, body: Body, json: bool) -> None:
    planned = api.retry_plan(run_id, body)
    if json:
        output.emit(planned)
        return
    out = output.console()
    out.print(plan_page(planned["steps"], out))
