"""The triggers of a config: what starts its runs besides people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from vai.definition.bounds import kind_of
from vai.definition.faults import Faults, Loc, shown
from vai.definition.model import TRIGGERS, Head, OneAction, ScheduleTrigger
from vai.definition.reading import validate
from vai.definition.schedule import BadLine, BadZone, Schedule
from vai.ports import Fault

CheckInput = Callable[[Any], tuple[Fault, ...]]


class Trigger(msgspec.Struct, frozen=True):
    """A trigger, checked. `settings` are its own fields in their written names, with everything filled in."""

    key: str
    type: str
    settings: Mapping[str, Any]
    loc: Loc  # where it is written


def read_triggers(head: Head | None, check_input: CheckInput, faults: Faults) -> tuple[Trigger, ...]:
    """The triggers of a config. What is wrong with them is noted."""
    if head is None:
        return ()
    found: dict[str, Trigger] = {}
    for shape, loc in _shapes(head, faults):
        key = shape.key or shape.type
        if key in found:
            msg = f"There is another trigger with the key {shown(key)}; give each of them a key of its own."
            faults.add((*loc, "key"), msg, "duplicate_key")
            continue
        _check_schedule(shape, loc, check_input, faults)
        settings = shape.model_dump(by_alias=True, exclude={"key", "type"})
        found[key] = Trigger(key, shape.type, settings, loc)
    return tuple(found.values())


def schedule_of(settings: Mapping[str, Any]) -> Schedule:
    """The schedule of a trigger's settings. Raises BadLine and BadZone."""
    return Schedule(settings["schedule"], settings["timezone"])


def _shapes(head: Head, faults: Faults) -> Iterator[tuple[ScheduleTrigger, Loc]]:
    for i, raw in enumerate(head.triggers):
        shape = _shape(raw, ("triggers", i), faults)
        if shape is not None:
            yield shape, ("triggers", i)
    if not isinstance(head, OneAction):
        return
    if head.schedule is not None:
        zone = "UTC" if head.timezone is None else head.timezone
        yield ScheduleTrigger(type="schedule", schedule=head.schedule, timezone=zone), ()
    elif head.timezone is not None:
        faults.add(("timezone",), "A time zone is of a schedule, and there is none.")


def _shape(raw: Any, loc: Loc, faults: Faults) -> ScheduleTrigger | None:
    if not isinstance(raw, Mapping):
        faults.add(loc, f"A trigger should be an object, not {kind_of(raw)}.", "type_error")
        return None
    kind = raw.get("type")
    shape = TRIGGERS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        faults.add((*loc, "type"), f"A trigger's type is one of: {', '.join(TRIGGERS)}.", "unknown_type")
        return None
    return validate(shape, {name: value for name, value in raw.items() if value is not None}, loc, faults)


def _check_schedule(trigger: ScheduleTrigger, loc: Loc, check_input: CheckInput, faults: Faults) -> None:
    try:
        Schedule(trigger.schedule, trigger.timezone)
    except BadLine as error:
        faults.add((*loc, "schedule"), str(error), "cron_line")
    except BadZone as error:
        faults.add((*loc, "timezone"), str(error), "time_zone")
    for fault in check_input(trigger.input):
        # Its runs would all be refused.
        faults.add((*loc, "input", *fault.loc), fault.msg, fault.type)
