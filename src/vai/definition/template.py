"""Definitions with `{{ }}` in them: compiled once, rendered over a run's state; one without any is handed on as is."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vai.definition.expression import Expression
from vai.definition.faults import Faults, Loc
from vai.definition.scan import ExpressionInvalid
from vai.definition.scope import ROOTS, Scope

OPEN, CLOSE = "{{", "}}"

Node = Callable[[Scope], Any]
"""Renders a part of a template; a part without expressions has none."""


class Template:
    """A step's definition as written (`raw`), ready to be rendered."""

    __slots__ = ("_node", "raw")

    def __init__(self, raw: Any, node: Node | None) -> None:
        self.raw = raw
        self._node = node

    @property
    def is_static(self) -> bool:
        """True when nothing in it has to be evaluated."""
        return self._node is None

    def render(self, scope: Scope) -> Any:
        """The definition with every expression evaluated; `raw` itself if it has none. Raises ExpressionFailed."""
        return self.raw if self._node is None else self._node(scope)


class Compiler:
    """Compiles the expressions of one step, noting what is wrong and which steps they name."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.roots: Sequence[str] = ROOTS  # in scope of what is compiled next
        self.named: dict[str, Loc] = {}  # each step, and where it is named first

    def expression(self, source: str, loc: Loc) -> Expression | None:
        """A bare expression; None after noting what is wrong with it."""
        try:
            compiled = Expression(source, self.roots)
        except ExpressionInvalid as error:
            hint = " Write it without {{ }}." if source.strip().startswith(OPEN) else ""
            self._faults.add(loc, f"The expression cannot be used. {error}{hint}", "expression")
            return None
        for key in compiled.steps:
            self.named.setdefault(key, loc)
        return compiled

    def node(self, value: Any, loc: Loc) -> Node | None:
        """The renderer of any JSON value, or None when it has no expressions."""
        if isinstance(value, str):
            return self._text(value, loc) if OPEN in value else None
        if isinstance(value, dict):
            return self._object(value, loc)
        if isinstance(value, list):
            return self._list(value, loc)
        return None

    def _object(self, value: dict[str, Any], loc: Loc) -> Node | None:
        for name in value:
            if OPEN in name:
                self._faults.add((*loc, name), "An expression cannot stand in a field's name.", "expression")
        nodes = {name: node for name, inner in value.items() if (node := self.node(inner, (*loc, name)))}
        if not nodes:
            return None
        return lambda scope: {**value, **{name: node(scope) for name, node in nodes.items()}}

    def _list(self, value: list[Any], loc: Loc) -> Node | None:
        nodes = [self.node(inner, (*loc, i)) for i, inner in enumerate(value)]
        if not any(nodes):
            return None
        pairs = list(zip(value, nodes, strict=True))
        return lambda scope: [node(scope) if node else inner for inner, node in pairs]

    def _text(self, text: str, loc: Loc) -> Node | None:
        try:
            parts = split(text)
        except ExpressionInvalid as error:
            self._faults.add(loc, str(error), "expression")
            return None
        if len(parts) == 1:
            whole = self.expression(parts[0][1], loc)
            return whole.evaluate if whole else None
        compiled = [self.expression(part, loc) if is_code else part for is_code, part in parts]
        ready = [part for part in compiled if part is not None]
        return lambda scope: "".join(_as_text(part, scope) for part in ready)


def split(text: str) -> Sequence[tuple[bool, str]]:
    """The parts of a text with `{{` in it: (True, expression) and (False, text as it is). An expression may hold
    braces and quoted texts of its own. Raises ExpressionInvalid when one is not closed."""
    parts: list[tuple[bool, str]] = []
    position = 0
    while (start := text.find(OPEN, position)) >= 0:
        end = _closing(text, start + 2)
        if end < 0:
            raise ExpressionInvalid("A {{ is not closed. To mean the characters, write {{ '{{' }}.")
        if start > position:
            parts.append((False, text[position:start]))
        parts.append((True, text[start + 2 : end].strip()))
        position = end + 2
    if position < len(text):
        parts.append((False, text[position:]))
    return parts


def _closing(text: str, position: int) -> int:
    """Where the `}}` stands that ends the expression at `position`; -1 if nowhere."""
    depth, quote = 0, ""
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif depth == 0 and text.startswith(CLOSE, position):
            return position
        else:
            depth += (char == "{") - (char == "}")
        position += 1
    return -1


def _as_text(part: Expression | str, scope: Scope) -> str:
    if isinstance(part, str):
        return part
    value = part.evaluate(scope)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
