"""The concurrency key of a run: rendered once, when the run is accepted."""

from typing import Any

import msgspec

from vai.definition.bounds import kind_of
from vai.definition.faults import Faults
from vai.definition.model import Concurrency
from vai.definition.scope import Scope
from vai.definition.template import Compiler, Template
from vai.domain.graph import ExpressionFailed, Graph
from vai.domain.state import RunContext, initial_state

MAX_KEY = 255
IN_SCOPE = ("input", "payload", "trigger")
_NO_STEPS = Graph.of(())


class KeyRule(msgspec.Struct, frozen=True):
    """`concurrency`, compiled."""

    key: Template
    limit: int
    on_conflict: str


def compile_key(given: Concurrency | None, faults: Faults) -> KeyRule | None:
    """The rule; None without one. Notes what is wrong with its key."""
    if given is None:
        return None
    compiler = Compiler(faults)
    compiler.roots = IN_SCOPE
    node = compiler.node(given.key, ("concurrency", "key"))
    return KeyRule(Template(given.key, node), given.limit, given.on_conflict)


def key_of(rule: KeyRule, context: RunContext) -> str | None:
    """The key of a run that is started so; None when there is nothing to hold it back by (null, or an empty text).

    Raises ExpressionFailed.
    """
    value: Any = rule.key.render(Scope(initial_state("", _NO_STEPS, context)))
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ExpressionFailed(rule.key.raw, f"A key has to be text or a number, and this is {kind_of(value)}.")
    key = str(value)
    if len(key) > MAX_KEY or "\0" in key:
        raise ExpressionFailed(rule.key.raw, f"A key has at most {MAX_KEY} characters, and this has {len(key):,}.")
    return key
