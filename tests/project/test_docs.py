"""Keeps the pages true: what the code has is in them, and what they show can be done."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from tests.project.documents import PAGES, ROOT, anchors, blocks, command_lines, links, text_of
from vai.actions import registry
from vai.api.models.common import OrchestratorType, TriggerSourceType, TriggerType, VersionStatus
from vai.cli.app import app
from vai.cli.files import read_definition
from vai.definition import definition_schema, parse
from vai.domain.events import EVENT_TYPES
from vai.domain.retry import PlannedAction
from vai.domain.status import OnInterrupt, RetryMode, RunStatus, RunWhen, SkipReason, StepStatus
from vai.ports import Actions
from vai.settings import Settings

ENUMS = (RunStatus, StepStatus, SkipReason, RunWhen, OnInterrupt, RetryMode, PlannedAction)
CHOICES = {
    "orchestratorType": OrchestratorType,
    "triggerType": TriggerType,
    "triggerSourceType": TriggerSourceType,
    "status of a version or automation": VersionStatus,
}


def table_rows(page: str, cell: str) -> list[str]:
    """The rows of a page's tables whose first cell holds `cell` as code."""
    rows = re.findall(r"^\|([^|]*)\|(.*)$", text_of(page), re.MULTILINE)
    return [rest for first, rest in rows if f"`{cell}`" in first]


def table_of(page: str, head: str) -> str:
    """The table of a page that begins with this head."""
    found = re.search(rf"^\| `?{re.escape(head)}`? \|.*?(?=\n\n)", text_of(page) + "\n\n", re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no table headed {head}"
    return found[0]


# --- settings ----------------------------------------------------------------------------------------------

DEFAULTS_IN_WORDS = {
    "database_url": "SQLite in the data folder",
    "actions": "none",
    "secret_key": "none",
    "artifacts_url": "none",
    "metrics_port": "none",
    "engine": "`true`",
    "temporal_tls": "`false`",
    "temporal_worker": "`false`",
    **dict.fromkeys(("temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key", "temporal_api_key"), "none"),
    "worker_labels": "none",
    "worker_kinds": "none",
    "max_processes": "the number of processors",
}


@pytest.mark.parametrize("name", [setting.name for setting in fields(Settings)])
def test_every_setting_is_told_with_its_default(name: str) -> None:
    rows = table_rows("docs/operations.md", f"VAI_{name.upper()}")
    value = getattr(Settings(), name)
    default = DEFAULTS_IN_WORDS.get(name, f"`{value:g}`" if isinstance(value, float) else f"`{value}`")
    assert [row.split("|")[0].strip() for row in rows] == [default]


def test_no_setting_is_told_that_is_none() -> None:
    told = set(re.findall(r"^\| `VAI_(\w+)`", text_of("docs/operations.md"), re.MULTILINE))
    assert told == {setting.name.upper() for setting in fields(Settings)}


def test_the_defaults_told_in_words_are_so() -> None:
    settings = Settings()
    assert settings.database_url is None
    assert settings.actions == ()
    assert settings.engine is True
    assert settings.temporal_tls is settings.temporal_worker is False
    assert settings.temporal_tls_ca is settings.temporal_tls_cert is settings.temporal_tls_key is None
    assert settings.temporal_api_key is None
    assert settings.metrics_port is None
    assert settings.worker_labels == ()
    assert settings.max_processes == os.cpu_count()


# --- command line ------------------------------------------------------------------------------------------


def load(command: Any) -> Any:
    """The real command behind one that is loaded when it is called."""
    module = getattr(command, "_module", None)
    if module is None:
        return command
    return typer.main.get_command(__import__(module, fromlist=["app"]).app)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    command = load(command)
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app), "vai"))


def option_names(command: Any) -> set[str]:
    """The options of a command, as they are written."""
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[0] == "-"}


def sections_of(text: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def place_of(path: str) -> str:
    """What cli.md says of a command: its section, or its row and what the section says of all its rows."""
    sections = sections_of(text_of("docs/cli.md"))
    if path in sections:
        return sections[path]
    section = sections[path.rsplit(" ", 1)[0]]
    rows = [line for line in section.splitlines() if not line.startswith("|") or f"`{path}" in line]
    return "\n".join(rows)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_told_with_its_options(path: str) -> None:
    place = place_of(path)
    assert path.split()[-1] in place or path in sections_of(text_of("docs/cli.md"))
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", place))
    assert option_names(COMMANDS[path]) - {"--help", "-h"} <= told


def shown_commands() -> list[tuple[str, str]]:
    """Every call of vai that a page shows."""
    return [(page.name, line) for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_a_call_that_a_page_shows_can_be_read(page: str, line: str) -> None:
    words = shlex.split(line)
    path = next((p for n in (3, 2) if (p := " ".join(words[:n])) in COMMANDS), None)
    assert path is not None, f"{page}: there is no command {line}"
    COMMANDS[path].make_context(path, words[len(path.split()) :])


# --- API ---------------------------------------------------------------------------------------------------


def operations() -> list[str]:
    """Every operation of the OpenAPI document, as `GET /path`."""
    from vai.api import create_app  # noqa: PLC0415 - slow to import, and only here

    paths = create_app(None).openapi()["paths"]  # type: ignore[arg-type]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


OPERATIONS = operations()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_told(operation: str) -> None:
    assert table_rows("docs/api.md", operation)


def test_no_operation_is_told_that_is_none() -> None:
    told = re.findall(r"^\| `((?:GET|POST|PATCH|PUT|DELETE) [^`]+)`", text_of("docs/api.md"), re.MULTILINE)
    assert sorted(told) == sorted(OPERATIONS)


def curl_lines() -> list[str]:
    """What the curl calls of api.md ask, as `GET /path`."""
    text = "\n".join(blocks(text_of("docs/api.md"), "sh")).replace("\\\n", " ")
    asked = []
    for line in text.splitlines():
        if not line.startswith("curl "):
            continue
        words = shlex.split(line, comments=True)
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        address = next(word for word in words if word.startswith(("$API", "http://")))
        address = address.replace("$API", "/api/v1").removeprefix("http://127.0.0.1:8000").partition("?")[0]
        asked.append(f"{method} {address}")
    return asked


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_a_curl_line(operation: str) -> None:
    method, path = operation.split()
    pattern = re.compile(re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(path)))
    others = {other.split()[1] for other in OPERATIONS if "{" not in other} - {path}
    found = [
        asked
        for asked in curl_lines()
        if asked.split()[0] == method and pattern.fullmatch(asked.split()[1]) and asked.split()[1] not in others
    ]
    assert found, f"api.md has no curl line for {operation}"


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_every_member_of_an_enum_is_in_the_glossary(enum: Any) -> None:
    table = table_of("docs/glossary.md", enum.__name__)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)[1:] == [member.value for member in enum]


@pytest.mark.parametrize(("head", "choices"), CHOICES.items(), ids=list(CHOICES))
def test_every_choice_of_the_api_is_in_the_glossary(head: str, choices: Any) -> None:
    table = table_of("docs/glossary.md", head)
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {word for cell in cells for word in re.findall(r"`(\w+)`", cell)} == set(get_args(choices))


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_type_of_event_is_in_the_glossary_with_its_data(event_type: str) -> None:
    (row,) = table_rows("docs/glossary.md", event_type)
    names = EVENT_TYPES[event_type].__struct_encode_fields__
    data = [name for name in names if name not in ("at", "key")]
    assert re.findall(r"`(\w+)`", row)[: len(data)] == data


# --- definitions and actions -------------------------------------------------------------------------------


def schema_fields() -> list[tuple[str, str]]:
    """Every field of a config, with the form that it belongs to."""
    schema = definition_schema()
    parts = {**schema["$defs"], "config": schema["anyOf"][0], "action": schema["anyOf"][1]}
    return [(part, name) for part, shape in parts.items() for name in shape["properties"]]


@pytest.mark.parametrize(("part", "field"), schema_fields())
def test_every_field_of_a_definition_is_told(part: str, field: str) -> None:
    assert table_rows("docs/definitions.md", field), f"{part}.{field} is not in definitions.md"


BUILT_IN = [action.kind for action in registry().all()]


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_kind_is_told_with_an_example_and_its_fields(kind: str) -> None:
    sections = sections_of(text_of("docs/actions.md"))
    assert f"kind: {kind}" in sections[kind]
    action = registry().get(kind)
    assert action is not None
    for field in action.definition_schema["properties"]:
        assert f"`{field}`" in sections[kind], f"{kind}.{field} is not in actions.md"


def own_actions(page: Path, folder: Path) -> Actions:
    """The built-in kinds, and the functions of one's own that the page shows."""
    code = blocks(page.read_text(encoding="utf-8"), "python actions")
    sources = []
    for number, text in enumerate(code):
        source = folder / f"{page.stem.lower().replace('-', '_')}_{number}.py"
        source.write_text(text, encoding="utf-8")
        sources.append(str(source))
    return registry(sources, data_dir=folder)


WITH_DEFINITIONS = [page for page in PAGES if blocks(page.read_text(encoding="utf-8"), "yaml definition")]


def test_the_pages_that_show_definitions_are_found() -> None:
    names = {str(page.relative_to(ROOT)) for page in WITH_DEFINITIONS}
    assert names == {
        *("README.md", "docs/actions.md", "docs/connections.md", "docs/definitions.md", "docs/start.md"),
    }


@pytest.mark.parametrize("page", WITH_DEFINITIONS, ids=lambda page: page.name)
def test_every_definition_that_a_page_shows_is_valid(page: Path, tmp_path: Path) -> None:
    actions = own_actions(page, tmp_path)
    for text in blocks(page.read_text(encoding="utf-8"), "yaml definition"):
        file = tmp_path / "shown.yaml"
        file.write_text(text, encoding="utf-8")
        assert parse(read_definition(file).config, actions).notes == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_yaml_block_is_marked_as_a_definition(page: Path) -> None:
    assert not blocks(page.read_text(encoding="utf-8"), "yaml")


# --- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: there is no such heading"


def test_every_page_is_listed() -> None:
    for folder in ("docs", "docs/decisions", "docs/examples"):
        listed = {link.partition("#")[0] for link in links(text_of(f"{folder}/README.md"))}
        pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"README.md"}
        assert pages <= listed
