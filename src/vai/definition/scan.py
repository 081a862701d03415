"""Reads the words of a CEL expression: which values it names, and whether it stays within bounds."""

import re
from typing import NamedTuple

MAX_LENGTH = 4_000
MAX_OPERATORS = 200  # each is a level of recursion in the CEL library, whose stack a thread may keep small
MAX_NESTING = 24  # for the same reason, and dearer
MAX_MACROS = 8
MAX_NESTED_MACROS = 2  # n elements cost n * n evaluations
MAX_GROWTH = 256  # how many times larger than what it reads an answer may become

MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
FUNCTIONS = MACROS | {
    "has", "size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bytes",
    "timestamp", "duration", "type", "dyn", "of", "ofNonZeroValue", "none", "hasValue", "value", "or", "orValue",
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours",
    "getMinutes", "getSeconds", "getMilliseconds",
}  # fmt: skip
TYPE_NAMES = frozenset({"int", "uint", "double", "string", "bool", "bytes", "list", "map", "type", "optional"})
_WORDS = frozenset({"true", "false", "null", "in"})

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>(?:[rR][bB]?|[bB][rR])(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'[^'\n]*'|"[^"\n]*")
      |[bB]?(?:'''(?:\\[\s\S]|[^\\])*?'''|\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\"
      |'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)


class ExpressionInvalid(ValueError):
    """The expression cannot be accepted; the message is the reason, as a sentence."""


class Token(NamedTuple):
    """One word of an expression."""

    kind: str  # text | number | name | op
    text: str


class Path(NamedTuple):
    """A value that an expression names: `steps.x.result['a'][0]` is root steps, parts x, result, a, 0."""

    root: str
    parts: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.root + "".join(_part_text(part) for part in self.parts)


class Scan(NamedTuple):
    """What the words of an expression tell."""

    paths: tuple[Path, ...]
    is_path: bool  # nothing but one path: no CEL needed
    bound: frozenset[str]  # names that macros bring
    functions: frozenset[str]


def _part_text(part: str | int) -> str:
    return f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]"


def scan(source: str) -> Scan:
    """The values that `source` names. Raises ExpressionInvalid when it is too long, too deep or has words that
    are not CEL; whether it is well-formed is for the CEL library to say."""
    if not source.strip():
        raise ExpressionInvalid("It is empty.")
    if len(source) > MAX_LENGTH:
        raise ExpressionInvalid(f"It is longer than {MAX_LENGTH:,} characters.")
    tokens = tokenise(source)
    _check_shape(tokens)
    _check_macros(tokens)
    paths, functions, bound, only = [], set(), set(), False
    for i, token in enumerate(tokens):
        if token.kind != "name" or token.text in _WORDS:
            continue
        is_member = _is_member(tokens, i)
        if _op(tokens, i + 1) == "(":
            functions.add(token.text)
            if is_member and token.text in MACROS and _op(tokens, i + 3) == ",":
                bound.add(tokens[i + 2].text)
        elif not is_member:
            path, end = _path(tokens, i)
            paths.append(path)
            only = i == 0 and end == len(tokens)
    named = tuple(dict.fromkeys(path for path in paths if path.root not in bound))
    return Scan(named, only and bool(named), frozenset(bound), frozenset(functions))


def tokenise(source: str) -> list[Token]:
    """The words of an expression, without spaces and comments."""
    tokens, position = [], 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            rest = "a text that is not closed" if source[position] in "'\"" else repr(source[position])
            raise ExpressionInvalid(f"At column {position + 1} stands {rest}.")
        position = match.end()
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group()))
    return tokens


def _op(tokens: list[Token], i: int) -> str | None:
    return tokens[i].text if 0 <= i < len(tokens) and tokens[i].kind == "op" else None


def _is_member(tokens: list[Token], i: int) -> bool:
    """True for the b of a.b."""
    if _op(tokens, i - 1) != ".":
        return False
    if i < 2 or (tokens[i - 2].kind == "op" and tokens[i - 2].text not in (")", "]", "}")):
        raise ExpressionInvalid(f"A name cannot begin with a dot, as .{tokens[i].text} does.")
    return True


def _path(tokens: list[Token], i: int) -> tuple[Path, int]:
    """The path that begins at `i`, and where it ends. It stops before a call and before a computed index."""
    parts: list[str | int] = []
    end = i + 1
    while end + 1 < len(tokens):
        following = tokens[end + 1]
        if _op(tokens, end) == "." and following.kind == "name" and _op(tokens, end + 2) != "(":
            parts.append(following.text)
            end += 2
        elif _op(tokens, end) == "[" and _op(tokens, end + 2) == "]" and (key := _literal(following)) is not None:
            parts.append(key)
            end += 3
        else:
            break
    return Path(tokens[i].text, tuple(parts)), end


def _literal(token: Token) -> str | int | None:
    if token.kind == "number" and token.text.isdecimal():
        return int(token.text)
    if token.kind == "text" and token.text[0] in "'\"" and "\\" not in token.text:
        return token.text[3:-3] if token.text[:3] in ("'''", '"""') else token.text[1:-1]
    return None


def _check_shape(tokens: list[Token]) -> None:
    """Bound how deep the CEL library recurses: past its stack it would end the process."""
    operators = depth = deepest = 0
    for token in tokens:
        if token.kind != "op":
            continue
        operators += token.text not in (")", "]", "}", ",", ":")
        if token.text in ("(", "[", "{", "?"):
            depth += 1
            deepest = max(deepest, depth)
        elif token.text in (")", "]", "}"):
            depth -= 1
    if operators > MAX_OPERATORS:
        raise ExpressionInvalid(f"It has more than {MAX_OPERATORS} operators.")
    if deepest > MAX_NESTING:
        raise ExpressionInvalid(f"It is nested deeper than {MAX_NESTING} levels.")


def _check_macros(tokens: list[Token]) -> None:
    """Bound what macros can multiply: `x.map(a, a + a)` doubles, and eight of them make 256 times as much."""
    macros, growth = 0, 1
    open_brackets: list[int | None] = []  # for a macro's bracket: what its body has that repeats a value
    for i, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in ("(", "[", "{"):
            is_macro = token.text == "(" and i > 0 and tokens[i - 1].text in MACROS
            macros += is_macro
            open_brackets.append(-1 if is_macro else None)
            if sum(bracket is not None for bracket in open_brackets) > MAX_NESTED_MACROS:
                raise ExpressionInvalid(f"It has macros inside macros, more than {MAX_NESTED_MACROS} deep.")
        elif token.text in (")", "]", "}") and open_brackets:
            growth *= max(1, (open_brackets.pop() or 0) + 1)
        elif token.text in (",", "+"):
            open_brackets = [None if n is None else n + 1 for n in open_brackets]
    if macros > MAX_MACROS:
        raise ExpressionInvalid(f"It has more than {MAX_MACROS} macros.")
    if growth > MAX_GROWTH:
        raise ExpressionInvalid("Its macros could multiply what they read too often.")
