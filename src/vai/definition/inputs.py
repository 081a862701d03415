"""The JSON Schema of a run's input: checked with the definition, and against what a run is started with."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

import referencing
import referencing.exceptions
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from vai.definition.bounds import check_bounds, kind_of
from vai.definition.faults import Faults, Loc, shown
from vai.definition.json_schema import (
    BadPattern,
    BoundedValidator,
    TooMuch,
    additional,
    budget,
    check_pattern,
)
from vai.ports import Fault

MAX_INPUT_FAULTS = 100
_LARGE = 1_000  # values
_VALUES = ("const", "default", "enum", "examples")  # below these stands no schema
_NO_FORMATS = FormatChecker(())
_NO_DOCUMENTS: referencing.Registry[Any] = referencing.Registry()  # never fetches what a $ref names


def compile_inputs(schema: Mapping[str, Any], loc: Loc, faults: Faults) -> Draft202012Validator | None:
    """The validator of `schema`; None after noting what is wrong with it."""
    try:
        # Without the check of formats: regular expressions are another's, see `_check_keyword`.
        Draft202012Validator.check_schema(schema, format_checker=_NO_FORMATS)
    except SchemaError as error:
        faults.add((*loc, *error.absolute_path), f"It is not a JSON Schema: {_sentence(error)}", "json_schema")
        return None
    validator: Draft202012Validator = BoundedValidator(schema, registry=_NO_DOCUMENTS)
    keywords = list(_keywords(schema))
    sound = [_check_keyword(name, value, (*loc, *path), faults) for path, name, value in keywords]
    if not all(sound):
        return None
    names = {name for _, name, _ in keywords}
    if names.issuperset(("unevaluatedProperties", "patternProperties")):
        faults.add(loc, "It cannot have both unevaluatedProperties and patternProperties.", "json_schema")
        return None
    for reason in _trial(validator):
        faults.add(loc, reason, "json_schema")
        return None
    return validator


def check_value(validator: Draft202012Validator, value: Any) -> tuple[Fault, ...]:
    """What is wrong with a run's input; places are relative to it."""
    faults = Faults()
    check_bounds(value, faults)
    if not faults:
        try:
            with budget(_count(value)):
                for error in islice(validator.iter_errors(value), MAX_INPUT_FAULTS):
                    _add(error, faults)
        except (RecursionError, referencing.exceptions.Unresolvable):
            faults.add((), "The input could not be checked: its schema refers to itself without end.", "json_schema")
        except TooMuch:
            faults.add((), "The input could not be checked: its schema takes too long for one so large.", "json_schema")
    return faults.listed()[:MAX_INPUT_FAULTS]


def is_large(value: Any) -> bool:
    """True when a check of this input takes so long that nobody should wait for it beside."""
    return _count(value, _LARGE) >= _LARGE


def _count(value: Any, at_most: float = math.inf) -> int:
    """How many values it holds, counted no further than `at_most`."""
    count, waiting = 0, [value]
    while waiting and count < at_most:
        inner = waiting.pop()
        count += 1
        if isinstance(inner, dict):
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            waiting.extend(inner)
    return count


def _trial(validator: Draft202012Validator) -> Iterator[str]:
    """Why the schema cannot be used, found by using it."""
    try:
        with budget(0):
            validator.is_valid({})
            validator.is_valid(None)
    except RecursionError:
        yield "The schema refers to itself without end."
    except TooMuch:
        yield "The schema refers to its parts so often that even {} takes too long to check."
    except referencing.exceptions.Unresolvable as error:
        yield f"A reference leads nowhere: {shown(str(error.ref))}."


def _keywords(schema: Any) -> Iterator[tuple[Loc, str, Any]]:
    """Every field of the schema and of the schemas in it, with its path."""
    waiting: list[tuple[Loc, Any]] = [((), schema)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            for name, below in value.items():
                yield (*path, name), name, below
                if name not in _VALUES:
                    waiting.append(((*path, name), below))
        elif isinstance(value, list):
            waiting.extend(((*path, i), below) for i, below in enumerate(value))


def _check_keyword(name: str, value: Any, loc: Loc, faults: Faults) -> bool:
    if name in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
        faults.add(loc, "A reference can only lead to a place in this schema: it begins with '#'.", "json_schema")
        return False
    patterns = [value] if name == "pattern" and isinstance(value, str) else []
    if name == "patternProperties" and isinstance(value, Mapping):
        patterns.extend(value)
    for pattern in patterns:
        try:
            check_pattern(pattern)
        except BadPattern as reason:
            faults.add(loc, f"It is not a regular expression that can be used: {reason}.", "json_schema")
            return False
    return True


def _add(error: ValidationError, faults: Faults) -> None:
    loc = tuple(error.absolute_path)
    rule, schema, instance = cast(tuple[Any, ...], (error.validator_value, error.schema, error.instance))
    if error.validator == "required":
        for name in rule:
            if name not in instance:
                faults.add((*loc, name), "This field is required.", "missing")
    elif error.validator == "additionalProperties" and rule is False:
        for name in additional(instance, schema):
            end = faults.suggest(name, schema.get("properties", {}))
            faults.add((*loc, name), f"There is no field {shown(name)}.{end}", "unknown_field")
    else:
        faults.add(loc, _sentence(error), str(error.validator))


_SENTENCES = {
    "const": "It should be {0}.",
    "enum": "It should be one of {0}.",
    "minimum": "It should be at least {0}.",
    "maximum": "It should be at most {0}.",
    "exclusiveMinimum": "It should be more than {0}.",
    "exclusiveMaximum": "It should be less than {0}.",
    "multipleOf": "It should be a multiple of {0}.",
    "minLength": "It should have at least {0} characters.",
    "maxLength": "It should have at most {0} characters.",
    "format": "It is not a proper {0}.",
    "pattern": "It should match the pattern {0}.",
    "minItems": "It should have at least {0} elements.",
    "maxItems": "It should have at most {0} elements.",
    "minProperties": "It should have at least {0} fields.",
    "maxProperties": "It should have at most {0} fields.",
    "uniqueItems": "Its elements should all differ.",
    "anyOf": "It fits none of the forms that are allowed.",
    "oneOf": "It should fit exactly one of the forms that are allowed.",
    "not": "It has a form that is not allowed.",
    "additionalProperties": "It has a field that is not allowed.",
    "unevaluatedProperties": "It has a field that is not allowed.",
    "required": "A field is missing.",
}


def _sentence(error: ValidationError | SchemaError) -> str:
    """What is wrong, without repeating the value: it may be long, or secret."""
    if error.validator == "type":
        wanted = error.validator_value
        types = " or ".join(wanted) if isinstance(wanted, list) else str(wanted)
        return f"It should be of type {types}, not {kind_of(error.instance)}."
    pattern = _SENTENCES.get(str(error.validator), f"It does not fit the schema's {error.validator}.")
    text = str(error.validator_value)
    return pattern.format(text if len(text) <= 300 else f"{text[:297]}...")
