"""JSON Schema in bounded time: the schema and the value both come from strangers, and the whole process waits.

What is checked is jsonschema's affair. Here its own functions give way to others where their time grows out of
proportion: patterns that backtrack, and comparisons of every element with every other. All else is counted.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as Mismatch
from pydantic_core import SchemaError

_BASE, _PER_VALUE = 100_000, 200  # a keyword takes about 4 microseconds

Rule = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]

_left: ContextVar[list[int]] = ContextVar("what is left of a check's budget")


class TooMuch(Exception):
    """The check takes more than a value of this size may take."""


class BadPattern(ValueError):
    """Not a regular expression that can be matched in linear time; the message says why."""


@contextlib.contextmanager
def budget(values: int) -> Iterator[None]:
    """For a check within: what a value that holds so many may take. Beyond it raises TooMuch."""
    token = _left.set([_BASE + _PER_VALUE * values])
    try:
        yield
    finally:
        _left.reset(token)


def _counted(rule: Rule) -> Rule:
    def check(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterable[ValidationError] | None:
        left = _left.get()
        left[0] -= 1 + (len(wanted) if isinstance(wanted, list | dict) else 0)
        if left[0] < 0:
            raise TooMuch
        return rule(validator, wanted, instance, schema)

    return check


# --- patterns: without backtracking, so that none takes longer than its text is long ------------------------


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> TypeAdapter[str]:
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        raise BadPattern(str(error).rpartition("error: ")[2].rpartition("SchemaError: ")[2].rstrip(".")) from None


def check_pattern(pattern: str) -> None:
    """Raise BadPattern unless `pattern` can be used."""
    _matcher(pattern)


def matches(pattern: str, text: str) -> bool:
    """True when `pattern` is found in `text`."""
    try:
        _matcher(pattern).validate_python(text)
    except Mismatch:
        return False
    return True


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError("it does not match the pattern")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, schema in patterns.items():
            for name, value in instance.items():
                if matches(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)


def additional(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The fields that neither `properties` nor `patternProperties` name."""
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in instance if name not in known and not any(matches(one, name) for one in patterns)]


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict) and rule is not True:
        names = additional(instance, schema)
        if isinstance(rule, dict):
            for name in names:
                yield from validator.descend(instance[name], rule, path=name)
        elif names:
            yield ValidationError("it has fields that are not allowed")


# --- comparing elements: each once, by what it is ----------------------------------------------------------


def _unique_items(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        told = {msgspec.json.encode(_comparable(value), order="deterministic") for value in instance}
        if len(told) < len(instance):
            yield ValidationError("its elements do not all differ")


def _comparable(value: Any) -> Any:
    """1 and 1.0 are the same number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, dict):
        return {name: _comparable(below) for name, below in value.items()}
    return [_comparable(below) for below in value] if isinstance(value, list) else value


_RULES: dict[str, Rule] = {
    **Draft202012Validator.VALIDATORS,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}

_bounded = {name: _counted(rule) for name, rule in _RULES.items()}
BoundedValidator: type[Draft202012Validator] = extend(Draft202012Validator, _bounded)  # type: ignore[no-untyped-call]
"""A validator of JSON Schema 2020-12 that is used within a `budget`."""


def _evolve(self: Any, **changes: Any) -> Any:
    """The validator of a schema below. `$schema` there must not bring back jsonschema's own, which has no bounds."""
    schema = changes.get("schema")
    if isinstance(schema, dict) and "$schema" in schema:
        changes["schema"] = {name: value for name, value in schema.items() if name != "$schema"}
    return _evolve_plain(self, **changes)


_evolve_plain = BoundedValidator.evolve
BoundedValidator.evolve = _evolve  # type: ignore[method-assign]
