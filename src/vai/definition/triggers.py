"""The triggers of a config: what starts its runs besides people."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from vai.definition.bounds import kind_of
from vai.definition.faults import Faults, Loc, shown
from vai.definition.model import TRIGGERS, AnyTrigger, Head, OneAction, ScheduleTrigger, WebhookTrigger
from vai.definition.reading import validate
from vai.definition.rules import IN_SCOPE, compile_rule
from vai.definition.schedule import BadLine, BadZone, Schedule
from vai.definition.secrets import is_readable
from vai.ports import Fault

CheckInput = Callable[[Any], tuple[Fault, ...]]

_KEY_PREFIX = "whsec_"
_KEY_BYTES = 16
_SECRET_LENGTH = 8


class Trigger(msgspec.Struct, frozen=True):
    """A trigger, checked. `settings` are its own fields in their written names, with everything filled in.

    `address` is what it is called by: the path of a webhook; none for what is due at times.
    """

    key: str
    type: str
    settings: Mapping[str, Any]
    address: str | None
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
        address = _check(shape, loc, check_input, faults)
        if shape.type == "webhook" and any(one.type == "webhook" and one.address == address for one in found.values()):
            faults.add((*loc, "path"), "There is another webhook with this path.", "duplicate_path")
        settings = shape.model_dump(by_alias=True, exclude={"key", "type"})
        found[key] = Trigger(key, shape.type, settings, address, loc)
    return tuple(found.values())


def schedule_of(settings: Mapping[str, Any]) -> Schedule:
    """The schedule of a trigger's settings. Raises BadLine and BadZone."""
    return Schedule(settings["schedule"], settings["timezone"])


def key_in(secret: str) -> bytes | None:
    """The key that a secret of Standard Webhooks holds: `whsec_` and base64; None where it holds none."""
    try:
        key = base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(_KEY_PREFIX) and len(key) >= _KEY_BYTES else None


def _shapes(head: Head, faults: Faults) -> Iterator[tuple[AnyTrigger, Loc]]:
    for i, raw in enumerate(head.triggers):
        shape = _shape(raw, ("triggers", i), faults)
        if shape is not None:
            yield shape, ("triggers", i)
    if isinstance(head, OneAction):
        for fields in _beside_action(head, faults):
            shape = _shape(fields, (), faults)
            if shape is not None:
                yield shape, ()


def _beside_action(head: OneAction, faults: Faults) -> Iterator[Mapping[str, Any]]:
    """The triggers of the form with one action, as they would stand in a list."""
    if head.schedule is not None:
        yield {"type": "schedule", "schedule": head.schedule, "timezone": head.timezone}
    elif head.timezone is not None:
        faults.add(("timezone",), "A time zone is of a schedule, and there is none.")
    if head.path is not None:
        yield {"type": "webhook", "path": head.path, "secret": head.secret}
    elif head.secret is not None:
        faults.add(("secret",), "A secret is of a webhook, and there is no path.")


def _shape(raw: Any, loc: Loc, faults: Faults) -> AnyTrigger | None:
    if not isinstance(raw, Mapping):
        faults.add(loc, f"A trigger should be an object, not {kind_of(raw)}.", "type_error")
        return None
    kind = raw.get("type")
    shape = TRIGGERS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        faults.add((*loc, "type"), f"A trigger's type is one of: {', '.join(TRIGGERS)}.", "unknown_type")
        return None
    return validate(shape, {name: value for name, value in raw.items() if value is not None}, loc, faults)


def _check(trigger: AnyTrigger, loc: Loc, check_input: CheckInput, faults: Faults) -> str | None:
    """Note what is wrong with a trigger of the right shape; its address."""
    if isinstance(trigger, ScheduleTrigger):
        _check_schedule(trigger, loc, check_input, faults)
    if isinstance(trigger, WebhookTrigger):
        _check_secret(trigger, loc, faults)
        _check_rule(trigger, loc, check_input, faults)
        return trigger.path
    return None


def _check_schedule(trigger: ScheduleTrigger, loc: Loc, check_input: CheckInput, faults: Faults) -> None:
    try:
        Schedule(trigger.schedule, trigger.timezone)
    except BadLine as error:
        faults.add((*loc, "schedule"), str(error), "cron_line")
    except BadZone as error:
        faults.add((*loc, "timezone"), str(error), "time_zone")
    _check_input(trigger.input, loc, check_input, faults)


def _check_input(value: Any, loc: Loc, check_input: CheckInput, faults: Faults) -> None:
    """A run that nobody would accept is told of before there is one."""
    for fault in check_input(value):
        faults.add((*loc, "input", *fault.loc), fault.msg, fault.type)


def _check_rule(trigger: WebhookTrigger, loc: Loc, check_input: CheckInput, faults: Faults) -> None:
    rule = compile_rule(trigger.match, trigger.input, IN_SCOPE[trigger.type], loc, faults)
    if rule.input.is_static:
        _check_input(trigger.input, loc, check_input, faults)


def _check_secret(trigger: WebhookTrigger, loc: Loc, faults: Faults) -> None:
    place, secret = (*loc, "secret"), trigger.secret
    if trigger.signature == "none":
        if secret is not None:
            faults.add(place, "With signature none, nobody has to know a secret: leave it out.", "secret")
    elif secret is None:
        msg = "A webhook needs the secret that its senders sign with, or 'signature: none', which lets in everybody."
        faults.add(place, msg, "missing")
    elif not is_readable(secret):
        return  # it was checked when it came
    elif trigger.signature == "standard" and key_in(secret) is None:
        msg = f"The secret should be whsec_ and {_KEY_BYTES} bytes or more in base64 (`openssl rand -base64 32`)."
        faults.add(place, msg, "secret")
    elif len(secret) < _SECRET_LENGTH:
        faults.add(place, f"The secret should have at least {_SECRET_LENGTH} characters.", "secret")
