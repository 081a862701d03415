"""Writes the pages of the docs that follow from the code. `make docs` runs it; a test tells when a page is stale."""

import contextlib
import itertools
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from docs.pictures import PICTURES, draw
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import transition
from vai.domain.evolve import evolve
from vai.domain.graph import Graph, RetryPolicy, StepSpec
from vai.domain.refusals import Refusal
from vai.domain.state import Result, RunContext, RunError, RunState, StepError, initial_state
from vai.domain.status import OnInterrupt, RetryMode, RunStatus, StepStatus

DOCS = Path(__file__).resolve().parent

GENERATED = "<!-- Written by docs/generate.py from the code. Change the code, then run `make docs`. -->\n\n"

# --- what moves what: found by trying every command in every state -----------------------------------------

Edges = dict[tuple[str, str], dict[str, None]]  # (from, to): the events that lead there, in the order found
FLAKY = StepError("timeout", "It took too long.", retryable=True)
BROKEN = StepError("broken", "It broke.")


def graphs() -> Iterator[Graph]:
    """Small graphs that between them have every rule a step or a run can have."""
    for rule in OnInterrupt:
        first = StepSpec("a", "noop", retry=RetryPolicy(max_attempts=2, jitter=False), on_interrupt=rule)
        yield Graph.of([first, StepSpec("b", "noop", depends_on=("a",))])
    pair = [StepSpec("a", "noop"), StepSpec("b", "noop"), StepSpec("c", "noop", depends_on=("a",))]
    yield Graph.of(pair, fail_fast=True)
    yield Graph.of(pair, timeout_seconds=60)
    yield Graph.of([StepSpec("a", "noop", condition=lambda _: False), StepSpec("b", "noop", depends_on=("a",))])
    yield Graph.of([StepSpec("a", "noop", for_each=lambda _: [1])])


def commands(state: RunState) -> Iterator[c.Command]:
    """Every command that can mean something in this state."""
    yield from (c.Start(), c.Advance(), c.TakeOver(), c.HandBack(), c.Cancel(), c.Retry(RetryMode.FULL), c.Retry())
    for key, step in state.steps.items():
        if step.is_executing:
            yield from (c.Advance((report,)) for report in reports(key, step.tries))
        if step.decision_id is not None:
            yield from (c.Decide(key, step.decision_id, answer) for answer in (True, False))
        if step.awaits is not None:
            yield c.ReceiveEvent(key, step.attempt, step.awaits.since, "event", Result())
        if step.child_run_id is not None:
            yield from (c.FinishChild(key, step.child_run_id, error=error) for error in (None, BROKEN))


def reports(key: str, number: int) -> Iterator[c.Report]:
    """Every report that an execution can make."""
    yield c.Completed(key, number)
    yield c.Completed(key, number, skips=("b", "c"))
    yield from (c.Failed(key, number, error) for error in (FLAKY, BROKEN))
    yield c.Stopped(key, number)
    yield c.Waits(key, number, 30_000)
    yield c.AwaitsChild(key, number, "child")
    yield c.AwaitsEvent(key, number, "paid", until=30_000)
    yield c.AwaitsDecision(key, number, "decision")


def kind_of(state: RunState) -> tuple[Any, ...]:
    """States that differ only in times, ids and results are of one kind: one of them is tried."""
    steps = (
        (step.status, step.is_executing, step.is_timed, min(step.tries, 2), step.decision_id is None, not step.awaits)
        for step in state.steps.values()
    )
    return state.status, state.stopping, state.cancel_requested_at is None, *steps


Move = tuple[RunState, e.Event, RunState]
"""The state before an event, the event, and the state after it."""


def moves() -> Iterator[Move]:
    """Every event in every kind of state that commands lead to."""
    for graph in graphs():
        accepted = initial_state("01890a5d-ac96-774b-bcce-b302099a8057", graph, RunContext("t", "a", 1))
        seen, frontier = {kind_of(accepted)}, [accepted]
        while frontier:
            for path in answers(frontier.pop(0)):
                yield from path
                end = path[-1][2]
                if kind_of(end) not in seen:
                    seen.add(kind_of(end))
                    frontier.append(end)


def answers(state: RunState) -> Iterator[list[Move]]:
    """What each command makes of a state, before and after all that a clock can make due."""
    for command, now in itertools.product(commands(state), (1_000, 100_000)):
        with contextlib.suppress(Refusal):
            path, before = [], state
            for event in transition(state, command, now).events:
                after = evolve(before, [event])
                path.append((before, event, after))
                before = after
            if path:
                yield path


def edges() -> tuple[Edges, Edges]:
    """The moves of runs and those of steps."""
    of_runs: Edges = {}
    of_steps: Edges = {}
    for before, event, after in moves():
        if event.step_key is None:
            of_runs.setdefault((before.status, after.status), {})[event.type] = None
        for old in before.steps.values():
            new = after.steps.get(old.key, old)
            if event.step_key == old.key or old.status is not new.status:
                of_steps.setdefault((old.status, new.status), {})[event.type] = None
    return of_runs, of_steps


def diagram(found: Edges, statuses: Iterable[RunStatus] | Iterable[StepStatus]) -> str:
    """A mermaid drawing; statuses in the order in which the code lists them."""
    order = [status.value for status in statuses]
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> pending"]
    for start, end in sorted(found, key=lambda edge: (order.index(edge[0]), order.index(edge[1]))):
        lines.append(f"    {start} --> {end}: {', '.join(sorted(found[start, end]))}")
    return "\n".join([*lines, "```"])


# --- tables ------------------------------------------------------------------------------------------------

SIMPLE = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    msgspec.UnsetType: "absent",
}


def in_words(hint: Any) -> str:
    """A type as readers of JSON would say it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return "anything"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(in_words(one) for one in inner)
    if origin in (tuple, list):
        return f"list of {in_words(inner[0])}"
    if origin is dict:
        return "object"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{member.value}`" for member in hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{'reports' if hint is c.Report else 'values'})"
    return SIMPLE[hint]


def fields_of(struct: type[msgspec.Struct], *without: str) -> str:
    """Names and types of a struct's fields, as they stand in JSON."""
    hints = typing.get_type_hints(struct)
    described = [
        f"`{wire}`: {'point in time' if name == 'until' or name.endswith('_at') else in_words(hints[name])}"
        for name, wire in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        if name not in without
    ]
    return "<br>".join(described) or "none"


def said(thing: Any) -> str:
    """A docstring as one line."""
    return " ".join((thing.__doc__ or "").split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def state_machine() -> str:
    """The page on the state machine."""
    of_runs, of_steps = edges()
    events = [(f"`{name}`", said(kind), fields_of(kind, "at", "key")) for name, kind in e.EVENT_TYPES.items()]
    asked = [(f"`{kind.__name__}`", said(kind), fields_of(kind)) for kind in typing.get_args(c.Command)]
    told = [(f"`{kind.__name__}`", said(kind), fields_of(kind)) for kind in c.Report.__subclasses__()]
    values = [(f"`{kind.__name__}`", said(kind), fields_of(kind)) for kind in (Result, StepError, RunError)]
    refused = [(f"`{kind.__name__}`", said(kind)) for kind in Refusal.__subclasses__()]
    return PAGE.format(
        runs=diagram(of_runs, RunStatus),
        steps=diagram(of_steps, StepStatus),
        events=table(("event", "what happened", "data"), events),
        values=table(("value", "what it is", "fields"), values),
        commands=table(("command", "what is asked", "fields"), asked),
        reports=table(("report", "what became of the execution", "fields"), told),
        refusals=table(("refusal", "why"), refused),
    )


PAGE = """\
# The state machine

A run with its steps is one value. `decide` answers a command with the events that follow, or refuses it; `evolve`
says what an event makes of the run. Nothing else assigns a status. The drawings below were made by giving every
command to a few small runs in every kind of state that they can get into.

## Runs

{runs}

A run that is `completed`, `failed` or `cancelled` is final, and only a retry takes it up again. `run.created` is
stored with the run and moves nothing. An event that leads from a status to the same one changes something else of the
run: that it is stopping, or that its end was asked for.

## Steps

{steps}

A step that is `completed`, `failed`, `skipped` or `cancelled` is final until a retry takes it up again. One that is
`pending` waits for others, backs off until its next attempt, or is free to start; one that is `running` is at work, or
waits for a point in time or another run. `step.progress`, `step.log` and `step.log_dropped` move nothing.

## Events

Every event also has the run, its number in the run, the attempt, when it happened and, if it is about a step, the
step's key. In the store a point in time is in milliseconds since 1970; over HTTP it is text, like every other time.

{events}

## Values

What stands in the data of events.

{values}

## Commands

`Start`, `Advance`, `TakeOver` and `HandBack` come from the engine that drives the run, and only the first three start
steps. The others come from people and from other runs; what they set free is started by the next `Advance`.

{commands}

## Reports

What an engine tells with `Advance` of an execution of a step. A report of an execution that is over is ignored.

{reports}

## Refusals

A command that does not fit the state is refused, and changes nothing.

{refusals}
"""

PAGES: dict[str, Callable[[], str]] = {"state-machine.md": state_machine}
"""The pages that are written here, each with what writes it."""


def main() -> None:
    """Write every page and picture anew."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(GENERATED + page())
        sys.stdout.write(f"wrote docs/{name}\n")
    for name, picture in PICTURES.items():
        (DOCS / "images" / f"{name}.svg").write_text(draw(picture))
        sys.stdout.write(f"wrote docs/images/{name}.svg\n")


if __name__ == "__main__":
    main()
