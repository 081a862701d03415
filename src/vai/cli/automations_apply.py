"""Makes the server's automation be what a file says, by its name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from vai.cli.client import Api, Body
from vai.cli.exits import FAILED, Failure
from vai.cli.faults import faults_of, lines_of
from vai.cli.files import DefinitionFile
from vai.cli.output import clean


class Applied(NamedTuple):
    """What became of a file."""

    automation_id: str
    sentence: str


def check_all(api: Api, definitions: Sequence[DefinitionFile]) -> None:
    """Refuse all of them when one is faulty, with every fault of every file."""
    lines: list[str] = []
    for definition in definitions:
        body = api.validate(definition.config)
        if not body["valid"]:
            lines += lines_of(faults_of(body), str(definition.path))
    if lines:
        files = "file is" if len(definitions) == 1 else "files are"
        raise Failure(f"Nothing was applied, because the {files} faulty:", FAILED, tuple(lines))


def apply_file(api: Api, definition: DefinitionFile, publish: bool) -> Applied:
    """Create or update the automation, and publish it. What is the same already stays as it is."""
    known = api.automation_named(definition.name)
    if known is None:
        created = api.create_automation(_body(definition, {"name": definition.name}))
        return _finish(api, created["id"], definition, publish, "created")
    versions = api.versions(known["id"])
    draft = _with_status(versions, "draft")
    active = _with_status(versions, "active")
    _update_words(api, known, definition)
    standing = active if publish else draft or active
    if standing is not None and _same(standing["config"], definition.config):
        said = f"– {clean(definition.name)}: unchanged, version {standing['number']} is {standing['status']}"
        return Applied(known["id"], said)
    if draft is None or not _same(draft["config"], definition.config):
        api.update_automation(known["id"], {"config": definition.config})
    return _finish(api, known["id"], definition, publish, "updated")


def _finish(api: Api, automation_id: str, definition: DefinitionFile, publish: bool, done: str) -> Applied:
    draft = _with_status(api.versions(automation_id), "draft")
    if draft is None:
        raise Failure(f"Somebody else published {definition.name} just now; apply the file again.", FAILED)
    if publish:
        api.publish(automation_id, draft["number"])
    status = "active" if publish else "a draft"
    return Applied(automation_id, f"✓ {clean(definition.name)}: {done}, version {draft['number']} is {status}")


def _update_words(api: Api, known: Body, definition: DefinitionFile) -> None:
    changed = {
        name: value for name, value in _body(definition, {}).items() if name != "config" and value != known.get(name)
    }
    if changed:
        api.update_automation(known["id"], changed)


def _body(definition: DefinitionFile, more: Body) -> Body:
    """What the file says, without what it does not say."""
    said = {"description": definition.description, "orchestratorType": definition.orchestrator_type}
    return {**more, "config": definition.config, **{k: v for k, v in said.items() if v is not None}}


def _with_status(versions: Sequence[Body], status: str) -> Body | None:
    return next((version for version in versions if version["status"] == status), None)


def _same(one: Any, other: Any) -> bool:
    return msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(other, order="deterministic")
