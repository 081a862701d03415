"""Bounds on JSON that strangers hand in, checked before anything walks into it."""

import math
from typing import Any

from vai.definition.faults import Faults, Loc

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
MAX_TEXT = 1_000_000


def check_bounds(value: Any, faults: Faults) -> None:
    """Note what JSON cannot hold, or holds too much of. Never recurses, so that no nesting can hurt."""
    count = 0
    waiting: list[tuple[Loc, Any]] = [((), value)]
    while waiting:
        loc, inner = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            faults.add((), f"It holds more than {MAX_VALUES:,} values.", "too_large")
            return
        if isinstance(inner, (dict, list)) and len(loc) >= MAX_DEPTH:
            faults.add(loc[:8], f"It is nested deeper than {MAX_DEPTH} levels.", "too_deep")
        elif isinstance(inner, dict):
            _check_names(loc, inner, faults)
            waiting.extend(((*loc, str(name)[:100]), below) for name, below in inner.items())
        elif isinstance(inner, list):
            waiting.extend(((*loc, i), below) for i, below in enumerate(inner))
        else:
            _check_scalar(loc, inner, faults)


def _check_names(loc: Loc, fields: dict[Any, Any], faults: Faults) -> None:
    for name in fields:
        if not isinstance(name, str):
            faults.add(loc, f"A field's name should be text, not {kind_of(name)}.", "not_json")
        elif reason := _text_fault(name):
            faults.add(loc, f"A field's name {reason}", "not_json")


def _check_scalar(loc: Loc, value: Any, faults: Faults) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if reason := _text_fault(value):
            faults.add(loc, f"The text {reason}", "not_json")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            faults.add(loc, "The number does not fit in 64 bits.", "not_json")
    elif isinstance(value, float):
        if not math.isfinite(value):
            faults.add(loc, "The number is not finite, which JSON cannot hold.", "not_json")
    else:
        faults.add(loc, f"JSON cannot hold a value of type {type(value).__name__}.", "not_json")


def _text_fault(text: str) -> str | None:
    if len(text) > MAX_TEXT:
        return f"is longer than {MAX_TEXT:,} characters."
    if "\0" in text:
        return "holds a NUL character, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not a character."
    return None


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
)


def kind_of(value: Any) -> str:
    """What a JSON value is, as it stands in a sentence: `a list`, `null` …"""
    return next((name for types, name in _KINDS if isinstance(value, types)), type(value).__name__)
