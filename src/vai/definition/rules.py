"""What a trigger makes of that which calls it: whether it starts a run, and with which input."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from vai.definition.expression import Expression
from vai.definition.faults import Faults, Loc
from vai.definition.scope import Scope
from vai.definition.template import Compiler, Template

IN_SCOPE = {"webhook": ("payload", "trigger")}
"""What the expressions of a trigger see, by its type."""


class Rule(msgspec.Struct, frozen=True):
    """`match` and `input` of a trigger, compiled."""

    match: Expression | None
    input: Template

    def is_met(self, values: Mapping[str, Any]) -> bool:
        """Whether these values are to start a run. A `match` over what is not there is not met."""
        return self.match is None or self.match.holds(values)

    def input_of(self, values: Mapping[str, Any]) -> Any:
        """The input of the run that these values start. Raises ExpressionFailed."""
        return self.input.render(_Given(values))


class _Given(Scope):
    """Nothing but the given values is in scope."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def names(self) -> list[str]:
        """The names in scope, for people."""
        return list(self._values)

    def _root(self, root: str) -> Any:
        return self._values[root]


def compile_rule(match: str | None, run_input: Any, roots: Sequence[str], loc: Loc, faults: Faults) -> Rule:
    """The rule; what is wrong with its expressions is noted."""
    compiler = Compiler(faults)
    compiler.roots = roots
    expression = None if match is None else compiler.expression(match, (*loc, "match"))
    return Rule(expression, Template(run_input, compiler.node(run_input, (*loc, "input"))))


def rule_of(kind: str, settings: Mapping[str, Any]) -> Rule:
    """The rule of a stored trigger of this type."""
    return _compiled(kind, msgspec.json.encode([settings["match"], settings["input"]]))


@lru_cache(maxsize=1_024)
def _compiled(kind: str, written: bytes) -> Rule:
    match, run_input = msgspec.json.decode(written)
    return compile_rule(match, run_input, IN_SCOPE[kind], (), Faults())
