"""`wait` for an event: the expression that an event has to match is evaluated when one occurs, over that event and
over what else it names, as that was when the wait began."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vai.definition.expression import Expression
from vai.definition.faults import Loc
from vai.definition.scope import ELEMENT, ROOTS, Scope
from vai.definition.template import Compiler, Node
from vai.domain.state import EventWait

KIND = "wait"
EVENT = "event"
_IN_SCOPE = (EVENT, *ROOTS, *ELEMENT)


def compile_wait(definition: Any, loc: Loc, compiler: Compiler) -> Node | None:
    """The renderer of a wait: `match` becomes the expression with the values of what it names."""
    match = definition.get("match") if isinstance(definition, dict) else None
    if not isinstance(match, str):
        return compiler.node(definition, loc)
    others = {name: value for name, value in definition.items() if name != "match"}
    node = compiler.node(others, loc)
    roots, compiler.roots = compiler.roots, (EVENT, *compiler.roots)
    expression = compiler.expression(match, (*loc, "match"))
    compiler.roots = roots
    if expression is None:
        return node

    def render(scope: Scope) -> dict[str, Any]:
        rendered = others if node is None else node(scope)
        return {**rendered, "match": {"expression": match, "names": expression.capture(scope, EVENT)}}

    return render


def is_met(wait: EventWait, event: Mapping[str, Any]) -> bool:
    """Whether an event of the right type, as expressions see it, is the one that is waited for."""
    if wait.match is None:
        return True
    return _compiled(wait.match).holds({**(wait.names or {}), EVENT: event})


@lru_cache(maxsize=4_096)
def _compiled(source: str) -> Expression:
    return Expression(source, _IN_SCOPE)
