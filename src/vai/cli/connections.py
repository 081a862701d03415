"""`vai connections`: what steps need of other systems, with credentials that never stand on a command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vai.cli import output
from vai.cli.client import Api, Body, connect, is_uuid
from vai.cli.exits import FAILED, Failure, usage
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column
from vai.cli.reading import read_json

app = group("Connections: credentials of other systems, for steps.")

Reference = Annotated[
    str, typer.Argument(metavar="SLUG_OR_ID", help="A connection: its slug or its id.", show_default=False)
]
Config = Annotated[
    str | None, typer.Option(metavar="JSON|@FILE", help="What is not secret: a JSON object, or a file of it.")
]
Credentials = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with the credentials as a JSON object, or - for stdin."),
]
Ask = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD", help="Ask for this field of the credentials, without echo; may be repeated."),
]
Slug = Annotated[str | None, typer.Option(help="What definitions call it.", show_default="made of the name")]

_COLUMNS = [
    Column("SLUG", flexible=True),
    Column("PROVIDER"),
    Column("STATUS"),
    Column("CREDENTIALS", from_width=70, flexible=True),
    Column("CHANGED", from_width=70),
]


@app.command("list")
def list_connections(json: Json = False, api_url: ApiUrl = None) -> None:
    """List the connections, newest first."""
    found = list(connect(api_url).connections())
    if json:
        output.emit({"connections": found, "total": len(found)})
        return
    if not found:
        output.note("There is no connection yet. Make one with 'vai connections create NAME --provider …'.")
        return
    out = output.console()
    rows: list[list[Any]] = [
        [
            one["slug"],
            one["provider"],
            one["status"],
            ", ".join(one["credentialFields"]),
            output.moment(one["updatedAt"]),
        ]
        for one in found
    ]
    out.print(output.table(_COLUMNS, rows, out.width))


@app.command()
def get(connection: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Show a connection; of its credentials only the names of the fields."""
    _show(_find(connect(api_url), connection), json=json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.", show_default=False)],
    provider: Annotated[str, typer.Option(help="What it leads to, such as bearer, basic or postgres.")],
    slug: Slug = None,
    config: Config = None,
    credentials: Credentials = None,
    ask: Ask = None,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Make a connection."""
    body = {"name": name, "provider": provider, **_given(slug, config, credentials, ask)}
    _show(connect(api_url).create_connection(body), json=json)


@app.command()
def update(
    connection: Reference,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    slug: Annotated[str | None, typer.Option(help="What definitions call it.")] = None,
    config: Config = None,
    credentials: Credentials = None,
    ask: Ask = None,
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Change a connection. New credentials replace all that there were."""
    body = _given(slug, config, credentials, ask)
    if name is not None:
        body["name"] = name
    if not body:
        usage("Say what is to be changed: --name, --slug, --config, --credentials or --ask.")
    api = connect(api_url)
    _show(api.update_connection(_find(api, connection)["id"], body), json=json)


@app.command()
def delete(
    connection: Reference,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    api_url: ApiUrl = None,
) -> None:
    """Remove a connection with its credentials. Steps that name it fail from now on."""
    api = connect(api_url)
    found = _find(api, connection)
    if not yes:
        typer.confirm(f"Remove {found['slug']} with its credentials?", abort=True)
    api.delete_connection(found["id"])
    output.console().print(f"✓ {found['slug']} is removed", markup=False)


@app.command()
def verify(connection: Reference, json: Json = False, api_url: ApiUrl = None) -> None:
    """Try a connection, where its provider is known to the server."""
    api = connect(api_url)
    verdict = api.verify_connection(_find(api, connection)["id"])
    if json:
        output.emit(verdict)
    else:
        output.console().print(output.clean(verdict["message"]), markup=False, soft_wrap=True)
    if verdict["verified"] is False:
        raise typer.Exit(FAILED)


def _given(slug: str | None, config: str | None, credentials: Path | None, ask: list[str] | None) -> dict[str, Any]:
    body: dict[str, Any] = {} if slug is None else {"slug": slug}
    if config is not None:
        body["config"] = read_json(config)
    if credentials is not None:
        text = "-" if str(credentials) == "-" else f"@{credentials}"
        body["credentials"] = read_json(text)
        if not isinstance(body["credentials"], dict):
            usage("The credentials have to be a JSON object.")
    for field in ask or ():
        body.setdefault("credentials", {})[field] = typer.prompt(field, hide_input=True, err=True)
    return body


def _find(api: Api, reference: str) -> Body:
    if is_uuid(reference):
        return api.connection(reference.lower())
    for one in api.connections():
        if one["slug"] == reference:
            return one
    raise Failure(f"There is no connection {reference}. 'vai connections list' shows all.", FAILED)


def _show(connection: Body, *, json: bool) -> None:
    if json:
        output.emit(connection)
        return
    names = ("slug", "name", "provider", "status", "id")
    facts = [(name, output.clean(connection[name])) for name in names]
    facts.append(("credentials", ", ".join(map(output.clean, connection["credentialFields"])) or "none"))
    if connection["verificationError"]:
        facts.append(("error", output.clean(connection["verificationError"])))
    output.console().print(output.facts(facts))
