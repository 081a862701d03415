"""The registry of kinds: the built-in ones, and users' functions from the sources that were named."""

from collections.abc import Sequence
from pathlib import Path

from vai.actions.approval_gate import ApprovalGate
from vai.actions.call_agent import CallAgent
from vai.actions.call_automation import CallAutomation
from vai.actions.conditional_branch import ConditionalBranch
from vai.actions.dlt_extract import DltExtract
from vai.actions.duckdb_transform import DuckdbTransform
from vai.actions.file_locks import FileLocks
from vai.actions.file_sync import FileSync
from vai.actions.functions import BadFunction, FunctionAction, Runners
from vai.actions.http_request import HttpRequest
from vai.actions.loading import BadActions, marked_functions, place_of
from vai.actions.notify import Notify
from vai.actions.process import Processes
from vai.actions.threads import Threads
from vai.actions.wait import Wait
from vai.ports import Action, Actions

MAX_THREADS = 32


class Registry:
    """The kinds by name."""

    def __init__(self, kinds: Sequence[Action]) -> None:
        self._kinds = {action.kind: action for action in kinds}

    def get(self, kind: str) -> Action | None:
        """The kind of that name, if there is one."""
        return self._kinds.get(kind)

    def all(self) -> Sequence[Action]:
        """Every kind: built-in ones first, then users' in the order in which they were found."""
        return tuple(self._kinds.values())


def registry(
    sources: Sequence[str] = (),
    *,
    data_dir: str | Path = ".vai",
    max_processes: int | None = None,
    traces: bool = False,
) -> Actions:
    """The built-in kinds, and the functions marked with `@vai.action` in each of `sources`
    (`path/to/file.py` or `package.module`).

    `data_dir` is where kinds keep their working files; it is made when first needed. `max_processes`: how
    many child processes may run at once (default: as many as there are processors). `traces`: requests that steps
    send carry the run's trace.

    Raises BadActions, with one sentence, if a source cannot be loaded or a function cannot be a kind.
    """
    processes = Processes(max_processes)
    locks, folder = FileLocks(), str(data_dir)
    built_in: list[Action] = [
        Wait(),
        ApprovalGate(),
        ConditionalBranch(),
        CallAutomation(),
        HttpRequest(traces=traces),
        DltExtract(processes, locks, folder),
        DuckdbTransform(processes, locks, folder),
        FileSync(processes),
        Notify(processes),
    ]
    taken = {action.kind: "a built-in kind" for action in built_in}
    taken[CallAgent.kind] = "a built-in kind"
    functions = _functions(sources, Runners(Threads(MAX_THREADS), processes), taken)
    made = {"sources": list(sources), "data_dir": folder, "traces": traces}
    agent = CallAgent(processes, Registry([*built_in, *functions]), made)
    return Registry([*built_in, agent, *functions])


def _functions(sources: Sequence[str], runners: Runners, taken: dict[str, str]) -> list[FunctionAction]:
    found: dict[int, FunctionAction] = {}
    for source in dict.fromkeys(sources):
        for function in marked_functions(source):
            if id(function) in found:  # a source may import the actions of another
                continue
            place = place_of(function)
            try:
                action = FunctionAction(function, source, runners)
            except BadFunction as error:
                name = getattr(function, "__name__", "?")
                raise BadActions(f"{source}: the action {name!r} ({place}): {error}.") from None
            if action.kind in taken:
                by = taken[action.kind]
                raise BadActions(f"{source}: the action name {action.kind!r} ({place}) is taken by {by}.")
            taken[action.kind] = f"the one at {place}"
            found[id(function)] = action
    return list(found.values())
