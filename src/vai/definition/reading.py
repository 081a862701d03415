"""Reads the shape of a config: the head, and each step by itself, so that one bad step hides nothing of the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from vai.definition.bounds import kind_of
from vai.definition.faults import Faults, Loc, shown
from vai.definition.model import (
    MAX_STEPS,
    NOT_YET_HEAD,
    NOT_YET_STEP,
    Head,
    OneAction,
    Retry,
    Shape,
    Step,
    Work,
    field_names,
)

S = TypeVar("S", bound=Shape)
ACTION_KEY = "action"
_WORDS = (
    ("Input should", "It should"),
    ("a valid string", "text"),
    ("a valid dictionary", "an object"),
    ("a valid ", "a "),
    ("a boolean", "true or false"),
    ("a integer", "a whole number"),
)


class Written(NamedTuple):
    """A step as it is written: its place, its key if it has a proper one, and its shape if that is sound."""

    loc: Loc
    key: str | None
    step: Step | None
    raw: Mapping[str, Any]


def read(config: Any, faults: Faults) -> tuple[Head | None, list[Written]]:
    """The head and the steps of a config. What is not sound is None, and noted."""
    if not isinstance(config, Mapping):
        faults.add((), f"A definition should be an object, not {kind_of(config)}.", "type_error")
        return None, []
    fields = _without(config, NOT_YET_HEAD, (), faults)
    if ACTION_KEY in fields:
        if isinstance(fields.get("steps"), list) and fields["steps"]:
            faults.add((ACTION_KEY,), "Give either action or steps, not both.")
            fields = {name: value for name, value in fields.items() if name != "steps"}
        one_action = validate(OneAction, fields, (), faults)
        written = _read_step(fields[ACTION_KEY], (ACTION_KEY,), Work, faults)
        return one_action, [written] if written else []
    head = validate(Head, fields, (), faults)
    return head, _read_steps(fields.get("steps"), faults) if _is_bounded(head, fields) else []


def _is_bounded(head: Head | None, fields: Mapping[str, Any]) -> bool:
    steps = fields.get("steps")
    return head is not None or (isinstance(steps, list) and len(steps) <= MAX_STEPS)


def _read_steps(steps: Any, faults: Faults) -> list[Written]:
    read_steps = (_read_step(raw, ("steps", i), Step, faults) for i, raw in enumerate(steps or []))
    return [written for written in read_steps if written]


def _read_step(raw: Any, loc: Loc, shape: type[Work], faults: Faults) -> Written | None:
    if not isinstance(raw, Mapping):
        if shape is Step:  # an action that is no object is told by the head
            faults.add(loc, f"A step should be an object, not {kind_of(raw)}.", "type_error")
        return None
    fields = _without(raw, NOT_YET_STEP, loc, faults)
    if isinstance(fields.get("retry"), Mapping):
        fields["retry"] = _without(fields["retry"], {}, loc, faults)
    sound = validate(shape, fields, loc, faults)
    if sound is not None and not isinstance(sound, Step):
        sound = Step.model_validate({**fields, "key": ACTION_KEY})
    key = fields.get("key") if shape is Step else ACTION_KEY
    return Written(loc, key if isinstance(key, str) else None, sound, fields)


def _without(fields: Mapping[str, Any], not_yet: Mapping[str, str], loc: Loc, faults: Faults) -> dict[str, Any]:
    """The fields that are given (null counts as not given), but for those that come with a later release."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name in not_yet.keys() & given.keys():
        faults.add((*loc, name), not_yet[name], "not_supported")
        del given[name]
    return given


def validate(shape: type[S], fields: Mapping[str, Any], loc: Loc, faults: Faults) -> S | None:
    """The fields as their shape; None, and noted, where they do not fit it."""
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            place = (*loc, *fault["loc"])
            msg = _sentence(fault["type"], fault["msg"], fault["loc"], shape, faults)
            faults.add(place, msg, "unknown_field" if fault["type"] == "extra_forbidden" else fault["type"])
    return None


def _sentence(kind: str, msg: str, loc: Loc, shape: type[Shape], faults: Faults) -> str:
    if kind == "missing":
        return "This field is required."
    if kind == "extra_forbidden":
        known = field_names(Retry if loc[0] == "retry" else shape)
        return f"There is no field {shown(str(loc[-1]))}.{faults.suggest(str(loc[-1]), known)}"
    if kind == "string_pattern_mismatch" and loc[-1] == "runsOn":
        return "A label is made of small letters, digits, underscores, dots and dashes."
    if kind == "string_pattern_mismatch" and loc[-1] == "path":
        return "A path is made of letters, digits and -._~, in parts between slashes, such as orders/paid."
    if kind == "string_pattern_mismatch":
        return "A key is made of small letters, digits and underscores, and begins with a letter."
    for theirs, ours in _WORDS:
        msg = msg.replace(theirs, ours)
    return f"{msg}."
