"""`vai automations`: define them, look at them, publish and delete them."""

from pathlib import Path
from typing import Annotated

import typer

from vai.cli import output
from vai.cli.automations_apply import apply_file, check_all
from vai.cli.automations_view import automation_page, automation_rows
from vai.cli.client import connect
from vai.cli.exits import FAILED, Failure, usage
from vai.cli.faults import faults_of, lines_of
from vai.cli.files import read_definition
from vai.cli.options import ApiUrl, File, Json, group
from vai.cli.references import AUTOMATION_HELP, find_automation

app = group("Define automations, and look at them.")

Reference = Annotated[str, typer.Argument(metavar="NAME_OR_ID", help=AUTOMATION_HELP, show_default=False)]


@app.command()
def apply(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Definitions, in YAML or JSON.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option(help="The automation's name.", show_default="the file's 'name', else the file's own")
    ] = None,
    publish: Annotated[bool, typer.Option(help="Make it the active version, which new runs use.")] = True,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Create automations from files, or update those of the same name.

    Nothing is changed when a file is faulty. What is the same as the active version makes no new version.
    """
    if name is not None and len(files) > 1:
        usage("--name goes with one file.")
    definitions = [read_definition(path) for path in files]
    if name is not None:
        definitions = [definitions[0]._replace(name=name)]
    api = connect(api_url)
    check_all(api, definitions)
    for definition in definitions:
        applied = apply_file(api, definition, publish)
        if json:
            output.emit_line(api.automation(applied.automation_id))
        else:
            output.console().print(applied.sentence, soft_wrap=True)


@app.command("list")
def list_automations(json: Json = False, api_url: ApiUrl = None) -> None:
    """List the automations, newest first."""
    body = connect(api_url).automations()
    if json:
        output.emit(body)
        return
    if not body["items"]:
        output.note("There is no automation yet. Define one with 'vai automations apply FILE'.")
        return
    out = output.console()
    out.print(automation_rows(body["items"], out))


@app.command()
def show(automation: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Show an automation: its versions, its steps and its newest run."""
    api = connect(api_url)
    found = find_automation(api, automation)
    if json:
        output.emit(found)
        return
    out = output.console()
    out.print(automation_page(found, api.versions(found["id"]), out))


@app.command()
def publish(
    automation: Reference,
    version: Annotated[int | None, typer.Option(min=1, help="Which version.", show_default="the draft")] = None,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Make a version the active one, which new runs use."""
    api = connect(api_url)
    found = find_automation(api, automation)
    number = version
    if number is None:
        number = next((v["number"] for v in api.versions(found["id"]) if v["status"] == "draft"), None)
    if number is None:
        raise Failure(f"{found['name']} has no draft to publish. Name a version with --version.", FAILED)
    published = api.publish(found["id"], number)
    if json:
        output.emit(published)
    else:
        output.console().print(f"✓ {output.clean(found['name'])}: version {number} is active", soft_wrap=True)


@app.command()
def validate(file: File, json: Json = False, api_url: ApiUrl = None) -> None:
    """Check a file without storing anything: every fault, a line each. Exit code 1 when there are any."""
    definition = read_definition(file)
    body = connect(api_url).validate(definition.config)
    if json:
        output.emit(body)
    elif body["valid"]:
        output.console().print(f"✓ {file} is valid: {len(body['steps'])} steps", soft_wrap=True)
    else:
        for line in lines_of(faults_of(body), str(file)):
            output.console().print(line, soft_wrap=True)
    raise typer.Exit(0 if body["valid"] else FAILED)


@app.command()
def delete(
    automation: Reference,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Delete an automation with its versions and its finished runs."""
    api = connect(api_url)
    found = find_automation(api, automation)
    runs = api.runs(automation_id=found["id"], limit=1)["total"]
    question = f"Delete {found['name']} with {found['versionsSummary']['count']} versions and {runs} runs?"
    if not yes and not output.ask(question):
        raise Failure("Nothing was deleted.", FAILED)
    api.delete_automation(found["id"])
    if json:
        output.emit({"id": found["id"], "deleted": True})
    else:
        output.console().print(f"✓ {output.clean(found['name'])} is deleted", soft_wrap=True)
