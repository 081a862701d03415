"""What people call runs and automations by: names, whole ids, the beginnings or ends of ids, and `last`."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from vai.cli.client import Api, Body, is_uuid
from vai.cli.exits import FAILED, Failure
from vai.cli.output import short_id

_DECISIONS = 1_000  # newest decisions that a short id is looked for among

RUN_HELP = "A run: its id, the beginning or end of its id, or 'last' for the newest."
DECISION_HELP = "A decision: its id, the beginning or end of its id, or 'last' for the newest."
AUTOMATION_HELP = "An automation: its name or its id."


def find_run(api: Api, reference: str) -> str:
    """The id of the run that is meant. Refuses none and several."""
    if is_uuid(reference):
        return reference.lower()
    if reference == "last":
        newest = api.runs(limit=1)["items"]
        if not newest:
            raise Failure("There is no run yet. Start one with 'vai runs start NAME'.", FAILED)
        return str(newest[0]["id"])
    return _one_of("run", reference, (str(run["id"]) for run in api.recent_runs()))


def find_decision(api: Api, reference: str) -> str:
    """The id of the decision that is meant. Refuses none and several."""
    if is_uuid(reference):
        return reference.lower()
    if reference == "last":
        newest = api.decisions(limit=1)["items"]
        if not newest:
            raise Failure("Nobody has been asked anything yet.", FAILED)
        return str(newest[0]["id"])
    items = api.decisions(limit=_DECISIONS)["items"]
    return _one_of("decision", reference, (str(decision["id"]) for decision in items))


def _one_of(noun: str, reference: str, ids: Iterable[str]) -> str:
    part = reference.strip("…").lower()
    found = list(islice((identifier for identifier in ids if part and _is_end_of(part, identifier)), 2))
    if not found:
        raise Failure(f"There is no {noun} {reference}. 'vai {noun}s list' shows the newest.", FAILED)
    if len(found) > 1:
        alike = " and ".join(map(short_id, found))
        raise Failure(f"{reference} fits several {noun}s, among them {alike}. Give more of the id, or its end.", FAILED)
    return found[0]


def _is_end_of(part: str, identifier: str) -> bool:
    return identifier.startswith(part) or identifier.endswith(part)


def find_automation(api: Api, reference: str) -> Body:
    """The automation that is meant. Refuses one that is not there, with names that are near."""
    if is_uuid(reference):
        return api.automation(reference.lower())
    found = api.automation_named(reference)
    if found is not None:
        return found
    names = [item["name"] for item in api.automations()["items"]]
    near = get_close_matches(reference, names, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else " 'vai automations list' shows all."
    raise Failure(f"There is no automation named {reference!r}.{hint}", FAILED)
