"""Definitions of automations in files, YAML or JSON."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from vai.cli.exits import usage
from vai.cli.reading import read_text

_MOST_WRITTEN_OUT = 20_000_000  # characters: more than any server takes


class DefinitionFile(NamedTuple):
    """A definition as it was read: what is of the automation itself, and its config."""

    path: Path
    name: str
    description: str | None
    orchestrator_type: str | None
    config: Any


class _Loader(yaml.SafeLoader):
    """YAML whose words mean what they mean in JSON: true, false, null and numbers; `on`, dates and 007 are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


def _construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(problem=f"a key must be a string, not {key!r}", problem_mark=key_node.start_mark)
        if key in found:
            raise yaml.MarkedYAMLError(problem=f"{key!r} is there twice", problem_mark=key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"-?(?:0|[1-9][0-9]{0,18})", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?", "-0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [char if char != "\0" else "" for char in _first],
    )
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def read_definition(path: Path) -> DefinitionFile:
    """The definition in a file; its name is the file's own when it gives none. Refuses what cannot be read."""
    document = _load(path)
    if not isinstance(document, dict):
        usage(f"{path}: expected the definition of an automation (a mapping with steps), found {_kind(document)}.")
    name = document.pop("name", None) or path.stem
    description = document.pop("description", None)
    if not isinstance(name, str) or not isinstance(description, str | None):
        usage(f"{path}: name and description must be text.")
    orchestrator_type = document.pop("orchestratorType", None)
    wrapped = document.keys() == {"config"}
    return DefinitionFile(path, name, description, orchestrator_type, document["config"] if wrapped else document)


def _load(path: Path) -> Any:
    loader = _Loader(read_text(path))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > _MOST_WRITTEN_OUT:
            usage(f"{path}: this is too large: its aliases (*) stand for more than {_MOST_WRITTEN_OUT // 10**6} MB.")
        return loader.construct_document(node)
    except RecursionError:
        usage(f"{path}: this is nested too deeply.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        usage(f"{path}{where}: this is not YAML: {error.problem or error.context}.")
    except yaml.YAMLError as error:
        usage(f"{path}: this is not YAML: {str(error).splitlines()[0]}.")
    finally:
        loader.dispose()


def _written_out(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """About how many characters the node has when every alias is replaced by what it stands for. What contains itself
    is without end, which constructing it refuses."""
    if node in known:
        return known[node]
    known[node] = 0
    if isinstance(node, yaml.ScalarNode):
        size = len(node.value)
    elif isinstance(node, yaml.MappingNode):
        size = sum(_written_out(key, known) + _written_out(value, known) for key, value in node.value)
    else:
        size = sum(_written_out(item, known) for item in node.value)
    known[node] = size + 3  # quotes and a comma, or brackets
    return known[node]


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), f"{type(value).__name__}")
