"""From a config to a compiled definition: every fault at once, or a graph that is ready to run."""

from collections.abc import Mapping
from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from vai.definition import agents, branches, matching, questions
from vai.definition.bounds import check_bounds
from vai.definition.dependencies import Links
from vai.definition.expression import Expression
from vai.definition.faults import Faults, Loc, shown
from vai.definition.for_each import IN_SCOPE, compile_for_each
from vai.definition.inputs import check_value, compile_inputs
from vai.definition.keys import KeyRule, compile_key
from vai.definition.model import MAX_PARALLEL, Head, Step
from vai.definition.reading import Written, read
from vai.definition.scope import ROOTS, Scope
from vai.definition.template import Compiler, Template
from vai.definition.triggers import Trigger, read_triggers
from vai.domain.graph import Condition, ForEach, Graph, RetryPolicy, StepSpec
from vai.domain.state import RunState
from vai.domain.status import OnInterrupt, RunWhen
from vai.ports import Actions, Fault


class Definition(msgspec.Struct, frozen=True):
    """A config, checked and compiled. Shared by all runs of its version; never changed."""

    graph: Graph
    inputs: dict[str, Any] | None  # JSON Schema of the run's input
    normalised: dict[str, Any]  # the config with everything filled in; parsing it again gives the same
    config: Any  # as it was given
    notes: tuple[Fault, ...] = ()  # no faults, but worth knowing: kinds that are not installed here
    validator: Draft202012Validator | None = None  # of `inputs`, compiled
    concurrency: KeyRule | None = None
    triggers: tuple[Trigger, ...] = ()


class _Compiled(msgspec.Struct, frozen=True):
    """A step, compiled, but not yet linked to others."""

    written: Written
    step: Step
    template: Template
    condition: Condition | None
    named: Mapping[str, Loc]
    for_each: ForEach | None


def parse(config: Any, actions: Actions | None) -> Definition:
    """Check and compile a config. Raises InvalidDefinition with every fault.

    Without `actions` nothing is said of kinds: for a stored config, whose kinds may be gone since.
    """
    faults = Faults()
    check_bounds(config, faults)
    faults.check()
    head, written = read(config, faults)
    keys = _keys(written, faults)
    compiled = [_compile(one, one.step, faults) for one in written if one.step is not None]
    notes = _check_kinds(written, actions, faults)
    links = _link(compiled, keys, faults)
    inputs = head.inputs if head else None
    validator = compile_inputs(inputs, ("inputs",), faults) if inputs is not None else None
    concurrency = compile_key(head.concurrency if head else None, faults)
    # No trigger of a stored config keeps its runs from being started otherwise.
    of_triggers = Faults() if actions is None else faults
    triggers = read_triggers(head, lambda value: _input_faults(inputs, validator, value), of_triggers)
    faults.check()
    if head is None:
        raise AssertionError("a config without a head has a fault")
    specs = [_spec(one, links) for one in compiled]
    graph = Graph.of(specs, fail_fast=head.fail_fast, timeout_seconds=head.timeout_seconds)
    normalised = _normalised(head, compiled, links)
    return Definition(graph, inputs, normalised, config, notes, validator, concurrency, triggers)


def check_input(definition: Definition, value: Any) -> tuple[Fault, ...]:
    """What is wrong with a run's input; places are relative to it. No input counts as {} where an object is
    asked for."""
    return _input_faults(definition.inputs, definition.validator, value)


def given_input(definition: Definition, value: Any) -> Any:
    """The input as the run is to get it: {} for none, where the definition asks for an object."""
    return _given(definition.inputs, value)


def _input_faults(inputs: Any, validator: Draft202012Validator | None, value: Any) -> tuple[Fault, ...]:
    if validator is None:
        faults = Faults()
        check_bounds(value, faults)
        return faults.listed()
    return check_value(validator, _given(inputs, value))


def _given(inputs: Any, value: Any) -> Any:
    is_object = inputs is not None and inputs.get("type") == "object"
    return {} if value is None and is_object else value


def resolve(spec: StepSpec, state: RunState) -> Any:
    """The step's definition with every expression evaluated. Raises ExpressionFailed.

    A definition without expressions is handed on as it is, at no cost: nobody may change it.
    """
    template = spec.definition
    if not isinstance(template, Template):
        return template
    return template.raw if template.is_static else template.render(Scope(state, spec))


def _keys(written: list[Written], faults: Faults) -> dict[str, Loc]:
    keys: dict[str, Loc] = {}
    for step in written:
        if step.key is None:
            continue
        if step.key in keys:
            msg = f"There is another step with the key {shown(step.key)}."
            faults.add((*step.loc, "key"), msg, "duplicate_key")
        keys.setdefault(step.key, step.loc)
    return keys


def _compile(written: Written, step: Step, faults: Faults) -> _Compiled:
    compiler = Compiler(faults)
    place = (*written.loc, "definition")
    compiler.roots = ROOTS if step.for_each is None else IN_SCOPE
    if step.kind == branches.KIND:
        node = branches.compile_branch(step.definition, place, compiler)
    elif step.kind == matching.KIND:
        node = matching.compile_wait(step.definition, place, compiler)
    else:
        node = compiler.node(step.definition, place)
    if step.kind == questions.KIND:
        questions.check_schema(step.definition, place, faults)
    elif step.kind == agents.KIND:
        agents.check_schemas(step.definition, place, faults)
    compiler.roots = ROOTS
    for_each = compile_for_each(step, written.loc, compiler, faults)
    source = step.if_
    condition = compiler.expression(source, (*written.loc, "if")) if source is not None else None
    return _Compiled(written, step, Template(step.definition, node), _condition(condition), compiler.named, for_each)


def _condition(expression: Expression | None) -> Condition | None:
    return None if expression is None else lambda state: expression.is_true(Scope(state))


_OWN = " For functions of your own, name their file with --actions."


def _check_kinds(written: list[Written], actions: Actions | None, faults: Faults) -> tuple[Fault, ...]:
    """Check each definition against its kind; answers a note for each kind that is not installed here."""
    notes: list[Fault] = []
    if actions is None:
        return ()
    known = {action.kind: action for action in actions.all()}
    for step in written:
        kind = step.raw.get("kind")
        if not isinstance(kind, str) or not kind:
            continue
        action = known.get(kind)
        if action is None:
            end = faults.suggest(kind, known)
            faults.add((*step.loc, "kind"), f"There is no kind {shown(kind)}.{end or _OWN}", "unknown_kind")
            continue
        for fault in action.check(step.raw.get("definition", {})):
            faults.add((*step.loc, "definition", *fault.loc), fault.msg, fault.type)
        if not action.available:
            msg = f"{kind} is not installed here; it needs vai-engine[{action.extra}]."
            notes.append(Fault((*step.loc, "kind"), msg, "not_installed"))
    return tuple(notes)


def _link(compiled: list[_Compiled], keys: dict[str, Loc], faults: Faults) -> Links:
    """Every dependency: those given first, then those that expressions name, then those of branches."""
    links = Links(keys, faults)
    for one in compiled:
        for i, upstream in enumerate(one.step.depends_on):
            links.add(one.step.key, upstream, (*one.written.loc, "dependsOn", i))
        for upstream, loc in one.named.items():
            links.add(one.step.key, upstream, loc, "names")
    for one in compiled:
        if one.step.kind == branches.KIND:
            for chosen, loc in branches.steps_named(one.step.definition):
                links.add_choice(one.step.key, chosen, (*one.written.loc, "definition", *loc))
    links.check_cycles()
    return links


def _spec(one: _Compiled, links: Links) -> StepSpec:
    step = one.step
    return StepSpec(
        key=step.key,
        kind=step.kind,
        name=step.name,
        definition=one.template,
        depends_on=links.of(step.key),
        run_when=RunWhen(step.run_when),
        condition=one.condition,
        retry=RetryPolicy(**{**step.retry.model_dump(), "on": tuple(step.retry.on)}),
        timeout_seconds=step.timeout_seconds,
        grace_seconds=step.grace_seconds,
        on_interrupt=OnInterrupt(step.on_interrupt),
        runs_on=step.runs_on,
        for_each=one.for_each,
        max_parallel=step.max_parallel or MAX_PARALLEL,
    )


def _normalised(head: Head, compiled: list[_Compiled], links: Links) -> dict[str, Any]:
    """The config with everything filled in. What belongs to a trigger (its secret too) is not of the graph."""
    return {
        "inputs": head.inputs,
        "concurrency": None if head.concurrency is None else head.concurrency.model_dump(by_alias=True),
        "failFast": head.fail_fast,
        "timeoutSeconds": head.timeout_seconds,
        "steps": [_normalised_step(one.step, links) for one in compiled],
    }


def _normalised_step(step: Step, links: Links) -> dict[str, Any]:
    return {
        "key": step.key,
        "name": step.name,
        "kind": step.kind,
        "definition": step.definition,
        "dependsOn": list(links.of(step.key)),
        "if": step.if_,
        "forEach": step.for_each,
        "maxParallel": step.max_parallel,
        "runWhen": step.run_when,
        "retry": step.retry.model_dump(by_alias=True),
        "timeoutSeconds": step.timeout_seconds,
        "graceSeconds": step.grace_seconds,
        "onInterrupt": step.on_interrupt,
        "runsOn": step.runs_on,
    }
