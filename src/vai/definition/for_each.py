"""`forEach`: a list, or the expression that gives one; an element is in scope of the step's definition."""

from typing import Any

import msgspec

from vai.definition.bounds import kind_of
from vai.definition.faults import Faults, Loc
from vai.definition.model import MAX_ELEMENTS, Step
from vai.definition.scope import ELEMENT, ROOTS, Scope
from vai.definition.template import CLOSE, OPEN, Compiler
from vai.domain.graph import ExpressionFailed, ForEach

MAX_BYTES = 8 * 1024 * 1024  # of all elements together, as JSON
IN_SCOPE = (*ROOTS, *ELEMENT)

_encode = msgspec.json.Encoder().encode


def compile_for_each(step: Step, loc: Loc, compiler: Compiler, faults: Faults) -> ForEach | None:
    """What gives the elements; None without a forEach, and after noting what is wrong with it."""
    given = step.for_each
    if given is None:
        if step.max_parallel is not None:
            faults.add((*loc, "maxParallel"), "It belongs to forEach, and there is none.", "missing")
        return None
    if step.kind == "conditional_branch":
        faults.add((*loc, "forEach"), "A conditional_branch chooses once; it cannot have forEach.", "not_supported")
    place = (*loc, "forEach")
    if isinstance(given, str):
        expression = compiler.expression(_bare(given), place)
        return None if expression is None else lambda state: _elements(expression.evaluate(Scope(state)), given)
    node = compiler.node(given, place)
    return lambda state: _elements(given if node is None else node(Scope(state)), "forEach")


def _bare(text: str) -> str:
    """The expression, also where it stands in {{ }}."""
    inner = text.strip()
    is_whole = inner.startswith(OPEN) and inner.endswith(CLOSE) and OPEN not in inner[2:]
    return inner[2:-2].strip() if is_whole else text


def _elements(value: Any, source: str) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionFailed(source, f"forEach needs a list, and this is {kind_of(value)}.")
    if len(value) > MAX_ELEMENTS:
        raise ExpressionFailed(source, f"The list has {len(value):,} elements; forEach takes up to {MAX_ELEMENTS:,}.")
    if len(_encode(value)) > MAX_BYTES:
        raise ExpressionFailed(
            source, f"The elements are larger than {MAX_BYTES // 1024**2} MiB; hand on names of them."
        )
    return value
