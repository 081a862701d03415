"""Definitions against their models: every fault at once, in clear sentences, and never a value repeated."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from vai.ports import ActionFailed, Fault

TEMPLATE = "{{"


class Definition(BaseModel):
    """A kind's definition: camel case, unknown fields are faults."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=False,
        validate_by_alias=True,
    )


class ById(Definition):
    """A connection by its id."""

    id: str = Field(min_length=1)


class BySlug(Definition):
    """A connection by its slug."""

    slug: str = Field(min_length=1)


class ByProvider(Definition):
    """The one connection of a provider."""

    provider: str = Field(min_length=1)


ConnectionRef = Annotated[str, Field(min_length=1)] | ById | BySlug | ByProvider
"""How a definition names a connection: its id, slug or provider."""


def ref_of(ref: Any) -> Any:
    """A `ConnectionRef` as the context takes it."""
    return ref.model_dump() if isinstance(ref, BaseModel) else ref


class Model:
    """What a definition has to look like, ready to be used many times."""

    def __init__(self, adapter: TypeAdapter[Any], schema: Mapping[str, Any]) -> None:
        self._validate = adapter.validator.validate_python
        self.schema = schema

    @classmethod
    def of(cls, definition: type[BaseModel]) -> "Model":
        """The model of a built-in kind."""
        adapter: TypeAdapter[Any] = TypeAdapter(definition)
        return cls(adapter, adapter.json_schema(by_alias=True))

    def parse(self, definition: Any) -> Any:
        """The definition as the kind wants it. Raises ActionFailed `invalid_definition` with every fault."""
        try:
            return self._validate({} if definition is None else definition)
        except ValidationError as error:
            faults = self._faults(error, definition, templates=False)
        sentences = "; ".join(f"{path_text(fault.loc)}{fault.msg}" for fault in faults)
        details = {"faults": [{"loc": list(f.loc), "msg": f.msg, "type": f.type} for f in faults]}
        raise ActionFailed("invalid_definition", f"The definition does not fit: {sentences}", details=details)

    def check(self, template: Any) -> Sequence[Fault]:
        """What is wrong with a template; where a value holds `{{ }}` it is taken to fit."""
        if is_templated(template):
            return ()
        try:
            self._validate({} if template is None else template)
        except ValidationError as error:
            return tuple(self._faults(error, template, templates=True))
        return ()

    def _faults(self, error: ValidationError, definition: Any, *, templates: bool) -> list[Fault]:
        faults: dict[tuple[tuple[str | int, ...], str], Fault] = {}
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            loc, value, templated = _follow(definition, fault["loc"], fault["type"])
            if templates and (templated or _tag_is_templated(fault["type"], value)):
                continue
            sentence = self._sentence(fault["type"], fault["msg"], loc, definition)
            faults.setdefault((loc, sentence), Fault(loc, sentence, fault["type"]))
        return list(faults.values())

    def _sentence(self, error_type: str, text: str, loc: tuple[str | int, ...], definition: Any) -> str:
        if error_type == "missing":
            return "is required"
        if error_type == "extra_forbidden":
            known = _names_at(self.schema, self.schema, definition, loc[:-1])
            near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.6)
            if near:
                return f"unknown field; did you mean {near[0]!r}?"
            return f"unknown field; known are: {', '.join(sorted(known))}" if known else "unknown field"
        return text.removeprefix("Value error, ")


def is_templated(value: Any) -> bool:
    """True for a string that holds an expression."""
    return isinstance(value, str) and TEMPLATE in value


def path_text(loc: Sequence[str | int]) -> str:
    """`("source", "tables", 0)` as `source.tables[0]: `; nothing for the definition as a whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{text}: " if text else ""


def _follow(definition: Any, raw: tuple[str | int, ...], error_type: str) -> tuple[tuple[str | int, ...], Any, bool]:
    """The path in the definition (pydantic's has the tags of unions in it), the value there, and whether an
    expression stands there or above."""
    value, loc = definition, []
    for part in raw:
        if _holds(value, part):
            value = value[part]
        elif not (error_type == "missing" and part == raw[-1] and isinstance(value, Mapping)):
            continue
        loc.append(part)
        if is_templated(value):
            return tuple(loc), value, True
    return tuple(loc), value, False


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _tag_is_templated(error_type: str, value: Any) -> bool:
    """A union whose member an expression chooses cannot be checked."""
    if not error_type.startswith("union_tag") or not isinstance(value, Mapping):
        return False
    return any(is_templated(member) for member in value.values())


def _names_at(root: Mapping[str, Any], node: Mapping[str, Any], value: Any, path: Sequence[Any]) -> set[str]:
    """The fields that the schema knows at a path of the definition."""
    if "$ref" in node:
        return _names_at(root, root["$defs"][node["$ref"].rsplit("/", 1)[-1]], value, path)
    if tag := node.get("discriminator"):
        chosen = value.get(tag["propertyName"]) if isinstance(value, Mapping) else None
        reference = tag["mapping"].get(chosen)
        return _names_at(root, {"$ref": reference}, value, path) if reference else set()
    if members := node.get("anyOf") or node.get("oneOf"):
        return set().union(*(_names_at(root, member, value, path) for member in members))
    if not path:
        return set(node.get("properties", ()))
    if isinstance(path[0], int):
        return _names_at(root, node.get("items", {}), value[path[0]], path[1:])
    below = node.get("properties", {}).get(path[0]) or {}
    return _names_at(root, below, value.get(path[0]), path[1:])
