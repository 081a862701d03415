"""Following a run from a command: shown on the terminal or as lines, until it ends or one has seen enough."""

from vai.cli import output
from vai.cli.client import Api, Body
from vai.cli.display import RunDisplay
from vai.cli.exits import CANCELLED, FAILED, OF_STATUS
from vai.cli.follow import Follow


def watch_run(api: Api, run: Body, *, json: bool, from_attempt: int = 1) -> int:
    """Follow a run to its end and say the exit code of its status. Ctrl-C leaves it going, with 130.

    Of attempts before `from_attempt` no lines are printed.
    """
    try:
        status = _follow_json(api, run["id"], from_attempt) if json else _follow_shown(api, run, from_attempt)
    except KeyboardInterrupt:
        short = output.short_id(run["id"])
        output.note(
            f"Stopped watching; the run goes on. See it again with 'vai runs watch {short}', "
            f"end it with 'vai runs cancel {short}'."
        )
        return CANCELLED
    return OF_STATUS.get(status, FAILED)


def _follow_json(api: Api, run_id: str, from_attempt: int) -> str:
    for event in Follow(api, run_id, say=output.note):
        if event["attempt"] >= from_attempt:
            output.emit_line(event)
    return str(api.run(run_id)["status"])


def _follow_shown(api: Api, run: Body, from_attempt: int) -> str:
    name = api.automation(run["automationId"])["name"]
    steps = api.steps(run["id"])["steps"]
    with RunDisplay(f"{name} {output.short_id(run['id'])}", steps, from_attempt=from_attempt) as display:
        for event in Follow(api, run["id"], say=display.say):
            display.feed(event)
    return display.view.status


def wait_final(api: Api, run_id: str) -> Body:
    """The run after its end."""
    for _ in Follow(api, run_id, say=output.note):
        pass
    return api.run(run_id)
