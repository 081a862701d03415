"""What people call runs and automations by: names, whole ids, the beginnings or ends of ids, and `last`."""

from difflib import get_close_matches
from itertools import islice

from vai.cli.client import Api, Body, is_uuid
from vai.cli.exits import FAILED, Failure
from vai.cli.output import short_id

RUN_HELP = "A run: its id, the beginning or end of its id, or 'last' for the newest."
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
    part = reference.strip("…").lower()
    matching = (str(run["id"]) for run in api.recent_runs() if part and _is_end_of(part, run["id"]))
    found = list(islice(matching, 2))
    if not found:
        raise Failure(f"There is no run {reference}. 'vai runs list' shows the newest.", FAILED)
    if len(found) > 1:
        alike = " and ".join(short_id(run_id) for run_id in found)
        raise Failure(f"{reference} fits several runs, among them {alike}. Give more of the id, or its end.", FAILED)
    return found[0]


def _is_end_of(part: str, run_id: str) -> bool:
    return run_id.startswith(part) or run_id.endswith(part)


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
