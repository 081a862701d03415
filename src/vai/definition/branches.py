"""`conditional_branch`, the one kind that has a say in the graph: it runs before the steps that it names, and the
conditions of its cases are expressions."""

from collections.abc import Iterator
from typing import Any

from vai.definition.expression import Expression
from vai.definition.faults import Loc
from vai.definition.scope import Scope
from vai.definition.template import Compiler, Node

KIND = "conditional_branch"


def steps_named(definition: Any) -> Iterator[tuple[str, Loc]]:
    """The steps that a branch chooses among, each with its place in the definition."""
    if not isinstance(definition, dict):
        return
    for i, case in enumerate(_list(definition.get("cases"))):
        if isinstance(case, dict):
            yield from _keys(case.get("steps"), ("cases", i, "steps"))
    yield from _keys(definition.get("default"), ("default",))


def compile_branch(definition: Any, loc: Loc, compiler: Compiler) -> Node | None:
    """The renderer of a branch: `cases` with `name`, `matched` and `steps`, and `default`. After the first case
    that matches no further condition is evaluated. None when the definition is not of a branch's shape."""
    if not isinstance(definition, dict) or not isinstance(definition.get("cases"), list):
        return None
    cases: list[tuple[Node | Any, Expression, Any]] = []
    for i, case in enumerate(definition["cases"]):
        when = case.get("when") if isinstance(case, dict) else None
        if not isinstance(when, str):
            continue
        place = (*loc, "cases", i)
        name = case.get("name")
        condition = compiler.expression(when, (*place, "when"))
        if condition is not None:
            cases.append((compiler.node(name, (*place, "name")) or name, condition, case.get("steps") or []))
    default = definition.get("default") or []
    return lambda scope: {"cases": list(_decided(cases, scope)), "default": default}


def _decided(cases: list[tuple[Node | Any, Expression, Any]], scope: Scope) -> Iterator[dict[str, Any]]:
    is_open = True
    for name, condition, steps in cases:
        matched = is_open and condition.is_true(scope)
        is_open = is_open and not matched
        yield {"name": name(scope) if callable(name) else name, "matched": matched, "steps": steps}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _keys(value: Any, loc: Loc) -> Iterator[tuple[str, Loc]]:
    for i, key in enumerate(_list(value)):
        if isinstance(key, str):
            yield key, (*loc, i)
