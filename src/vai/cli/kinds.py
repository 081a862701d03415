"""`vai kinds`: what steps can do."""

from difflib import get_close_matches
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from vai.cli import output
from vai.cli.client import connect
from vai.cli.exits import Failure
from vai.cli.options import ApiUrl, Json, group
from vai.cli.output import Column

app = group("What steps can do.")


@app.command("list")
def list_kinds(json: Json = False, api_url: ApiUrl = None) -> None:
    """List the kinds of steps, the built-in ones and your own."""
    body = connect(api_url).kinds()
    if json:
        output.emit(body)
        return
    out = output.console()
    columns = [Column("KIND"), Column("", from_width=60), Column("TITLE", flexible=True)]
    rows = [[kind["kind"], _availability(kind), kind["title"] or kind["description"]] for kind in body["items"]]
    out.print(output.table(columns, rows, out.width))


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="The kind, as in a step's 'kind'.", show_default=False)],
    json: Json = False,
    api_url: ApiUrl = None,
) -> None:
    """Show a kind: what it does and what its definition holds."""
    items = connect(api_url).kinds()["items"]
    found = next((item for item in items if item["kind"] == kind), None)
    if found is None:
        near = get_close_matches(kind, [item["kind"] for item in items], n=1)
        hint = f" Did you mean {near[0]}?" if near else " 'vai kinds list' shows all."
        raise Failure(f"There is no kind {kind!r}.{hint}")
    if json:
        output.emit(found)
    else:
        out = output.console()
        out.print(_page(found))


def _availability(kind: dict[str, Any]) -> str:
    return "" if kind["available"] else f"needs vai-engine[{kind['extra']}]"


def _page(kind: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [
        Text(kind["kind"], style="bold") + Text(f"  {kind['title']}", style="not bold"),
        Text(output.clean(kind["description"] or "")),
    ]
    if not kind["available"]:
        parts.append(Text(f"Not installed here: pip install 'vai-engine[{kind['extra']}]'", style="yellow"))
    schema = kind["definitionSchema"]
    fields = schema.get("properties", {})
    if fields:
        required = frozenset(schema.get("required", ()))
        told = [(name, _field(field, name in required)) for name, field in fields.items()]
        parts += [Text(""), Text("Definition", style="bold"), output.facts(told)]
    return Group(*parts)


def _field(field: dict[str, Any], is_required: bool) -> Text:
    default = field.get("default")
    words = [_type(field), "required" if is_required else f"default {default}" if default else ""]
    meaning = output.clean(field.get("description") or "")
    return Text("\n").join(Text(part) for part in (", ".join(word for word in words if word), meaning) if part)


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(_type(part) for part in field["anyOf"]))
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    return str(field.get("type", "any"))
