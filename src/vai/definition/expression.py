"""One CEL expression: compiled once, evaluated over a run's state."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from vai.definition.cel_library import cel
from vai.definition.scan import FUNCTIONS, TYPE_NAMES, ExpressionInvalid, Path, scan
from vai.definition.scope import ELEMENT, ROOTS, STEP_FIELDS, PathBroken, Scope
from vai.domain.graph import ExpressionFailed

if TYPE_CHECKING:
    from cel import Program

_PARSE_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*?)(?: expecting .*)?(?:\n|$)")


class Expression:
    """A compiled expression. `steps` are the keys of the steps that it names, in its order.

    An expression that is nothing but a path (`steps.x.result.rows`) is read without CEL: its value is not copied.
    """

    __slots__ = ("_paths", "_program", "source", "steps")

    def __init__(self, source: str, roots: Sequence[str] = ROOTS) -> None:
        """Compile `source`, in whose scope are `roots`. Raises ExpressionInvalid, whose message is a sentence."""
        self.source = source
        found = scan(source)
        program = _compile(source)
        _check_names(found.bound, found.paths, roots)
        _check_functions(found.functions)
        self._paths = found.paths
        self._program = None if found.is_path and found.paths[0].root in roots else program
        self.steps = tuple(dict.fromkeys(str(p.parts[0]) for p in found.paths if p.root == "steps"))

    def evaluate(self, scope: Scope) -> Any:
        """Its value, as JSON can hold it. Raises ExpressionFailed."""
        try:
            if self._program is None:
                return scope.read(self._paths[0])
            return _plain(self._program.execute(scope.narrow(self._paths)))
        except BaseException as error:
            if not isinstance(error, Exception) and not _is_panic(error):
                raise
            raise ExpressionFailed(self.source, self._reason(error, scope), scope.names()) from None

    def capture(self, scope: Scope, free: str) -> dict[str, Any]:
        """The values that it names, but for those below `free`, which are not known yet. Raises ExpressionFailed."""
        try:
            named = scope.narrow(tuple(path for path in self._paths if path.root != free))
        except Exception as error:
            raise ExpressionFailed(self.source, self._reason(error, scope), scope.names()) from None
        return {name: msgspec.to_builtins(value) for name, value in named.items()}

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these values; false when one that it names is not there, or is of another type."""
        try:
            return (self._program or _compile(self.source)).execute(dict(values)) is True
        except BaseException as error:
            if not isinstance(error, Exception) and not _is_panic(error):
                raise
            return False

    def is_true(self, scope: Scope) -> bool:
        """Its value as a condition. Raises ExpressionFailed, also when the value is not true or false."""
        value = self.evaluate(scope)
        if isinstance(value, bool):
            return value
        reason = f"A condition has to be true or false, and this is {type(value).__name__}."
        raise ExpressionFailed(self.source, reason, scope.names())

    def _reason(self, error: BaseException, scope: Scope) -> str:
        """Why it failed, as a sentence: by its paths, which tell more than the CEL library does."""
        if isinstance(error, PathBroken):
            return str(error)
        if isinstance(error, LookupError | TypeError):
            for path in self._paths:
                if path.root not in (*ROOTS, *ELEMENT):
                    continue
                try:
                    scope.read(path)
                except PathBroken as broken:
                    if broken.is_missing == isinstance(error, LookupError):
                        return str(broken)
        return _sentence(error)


def _compile(source: str) -> "Program":
    try:
        program: Program = cel.compile(source)
        return program
    except BaseException as error:
        if not isinstance(error, Exception) and not _is_panic(error):
            raise
        found = _PARSE_ERROR.search(str(error))
        if found is None:
            raise ExpressionInvalid("It is not a CEL expression.") from None
        what = found[3].removeprefix("Syntax error: ").replace("'<EOF>'", "the end")
        where = f"At line {found[1]}, column {found[2]}" if "\n" in source else f"At column {found[2]}"
        raise ExpressionInvalid(f"{where}: {what}.") from None


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def _check_names(bound: frozenset[str], paths: tuple[Path, ...], roots: Sequence[str]) -> None:
    for name in sorted(bound.intersection((*ROOTS, *ELEMENT))):
        raise ExpressionInvalid(f"A macro's variable cannot be called {name!r}, which is in scope already.")
    for path in paths:
        if path.root in ELEMENT and path.root not in roots:
            raise ExpressionInvalid(f"{path.root!r} is in scope in the definition of a step with forEach only.")
        if path.root == "steps" and "steps" in roots:
            _check_step(path)
        elif path.root not in roots and path.root not in TYPE_NAMES:
            known = ", ".join(roots)
            raise ExpressionInvalid(f"{path.root!r} is not in scope; what is: {known}.")


def _check_step(path: Path) -> None:
    if not path.parts or not isinstance(path.parts[0], str):
        raise ExpressionInvalid("After 'steps' has to stand a step's key: steps.<key> or steps['<key>'].")
    if len(path.parts) > 1 and path.parts[1] not in STEP_FIELDS:
        key, field = path.parts[:2]
        raise ExpressionInvalid(f"steps.{key} has status, result and error, but no {str(field)!r}.")


def _check_functions(functions: frozenset[str]) -> None:
    for name in sorted(functions - FUNCTIONS):
        raise ExpressionInvalid(f"There is no function {name!r}.")


def _sentence(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "A value is nested too deep."
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        return f"There is no {text}."
    if text.startswith("No such overload"):
        return "An operator or function was given values of types that do not go together."
    text = text.replace("CEL does not coerce between types — both operands must be the same type.", "")
    text = " ".join(re.sub(r"Check (that|function) .*", "", text).split())[:300].rstrip(". ")
    return f"{text[0].upper()}{text[1:]}."


def _plain(value: Any) -> Any:
    """A CEL value as JSON can hold it: times as RFC 3339, durations in seconds (`90s`), bytes in base64."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the value is not a finite number")
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, cel.OptionalValue):
        return _plain(value.value()) if value.has_value() else None
    raise ValueError(f"JSON cannot hold a value of type {type(value).__name__}")
