"""A config from a file: YAML or JSON, where a word means what it would mean in JSON."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from vai.definition.bounds import MAX_DEPTH, MAX_VALUES
from vai.definition.faults import InvalidDefinition, shown
from vai.ports import Fault

MAX_LENGTH = 20_000_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Any] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?", re.ASCII)
_TEXT_TAG = "tag:yaml.org,2002:str"


def load_text(text: str, filename: str) -> Any:
    """The value that a file holds: JSON where its name ends in `.json`, else YAML. Raises InvalidDefinition whose
    message has line and column.

    In YAML only true, false, null and numbers as JSON writes them are other than text: `on`, `yes`, dates and
    `007` stay text. Anchors, aliases and tags are refused.
    """
    if len(text) > MAX_LENGTH:
        raise _fault(f"{filename} is longer than {MAX_LENGTH:,} characters.")
    if not text.strip():
        raise _fault(f"{filename} is empty.")
    return _load_json(text, filename) if filename.lower().endswith(".json") else _load_yaml(text, filename)


def _load_json(text: str, filename: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        msg = f"{filename}, line {error.lineno}, column {error.colno}: {error.msg}."
    except RecursionError:
        msg = f"{filename} is nested too deep."
    except ValueError as error:
        msg = f"{filename}: {error}"
    raise _fault(msg)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the field {shown(twice)} is given twice in one object.")
    return fields


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


class _YamlFault(Exception):
    """Something in a YAML file that is refused, and where."""

    def __init__(self, msg: str, mark: Any) -> None:
        super().__init__(msg)
        self.mark = mark


class _Open(NamedTuple):
    """A collection that is being read; `key` waits for its value."""

    value: dict[str, Any] | list[Any]
    key: list[str]


def _load_yaml(text: str, filename: str) -> Any:
    """Built from the parser's events, which never recurse, rather than by PyYAML's constructors."""
    try:
        return _build(yaml.parse(text, Loader=_LOADER))
    except _YamlFault as error:
        msg, mark = str(error), error.mark
    except yaml.MarkedYAMLError as error:
        msg, mark = f"{error.problem or error.context or 'it is not YAML'}.", error.problem_mark or error.context_mark
    except yaml.reader.ReaderError as error:
        raise _fault(f"{filename}: the character #x{error.character:04x} cannot stand in YAML.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _fault(f"{filename} is not YAML: {' '.join(str(error).split())[:200]}.") from None
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    raise _fault(f"{filename}{where}: {msg}")


def _build(events: Iterator[Any]) -> Any:
    stack: list[_Open] = []
    root: list[Any] = []
    documents = 0
    for count, event in enumerate(events):
        documents += isinstance(event, yaml.DocumentStartEvent)
        _check_event(event, documents, len(stack), count)
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            is_key = bool(stack) and isinstance(stack[-1].value, dict) and not stack[-1].key
            _place(event.value if is_key else _scalar(event), event, stack, root)
        elif isinstance(event, yaml.CollectionStartEvent):
            value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            _place(value, event, stack, root)
            stack.append(_Open(value, []))
    return root[0] if root else None


def _check_event(event: Any, documents: int, depth: int, count: int) -> None:
    mark = event.start_mark
    if documents > 1:
        raise _YamlFault("there is a second document; one is read.", mark)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _YamlFault("anchors and aliases (& and *) are not read.", mark)
    if getattr(event, "tag", None) not in (None, "!", _TEXT_TAG):
        raise _YamlFault(f"tags are not read, as here {shown(event.tag)}.", mark)
    if depth > MAX_DEPTH + 8:
        raise _YamlFault("it is nested too deep.", mark)
    if count > 2 * MAX_VALUES:
        raise _YamlFault("it holds too many values.", mark)


def _place(value: Any, event: Any, stack: list[_Open], root: list[Any]) -> None:
    """Put a value, or a key, where it belongs."""
    if not stack:
        root.append(value)
        return
    into, key = stack[-1]
    if isinstance(into, list):
        into.append(value)
    elif key:
        into[key.pop()] = value
    elif not isinstance(value, str):
        raise _YamlFault("a field's name should be text.", event.start_mark)
    elif value in into:
        raise _YamlFault(f"the field {shown(value)} is given twice.", event.start_mark)
    else:
        key.append(value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0] or event.tag == _TEXT_TAG:
        return text  # quoted, a block, or said to be text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _fault(msg: str) -> InvalidDefinition:
    return InvalidDefinition((Fault((), msg, "file"),))
