"""The JSON Schemas in the definition of `call_agent`: that of its answer, and those of its tools' parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from vai.definition.faults import Faults, Loc
from vai.definition.inputs import compile_inputs

KIND = "call_agent"


def check_schemas(definition: Any, loc: Loc, faults: Faults) -> None:
    """Note what is wrong with them; one with an expression in it is checked when the step runs."""
    for path, schema in _schemas(definition):
        if isinstance(schema, Mapping) and b"{{" not in msgspec.json.encode(schema):
            compile_inputs(schema, (*loc, *path), faults)


def _schemas(definition: Any) -> Iterator[tuple[Loc, Any]]:
    if isinstance(definition, Mapping):
        yield ("output",), definition.get("output")
        tools = definition.get("tools")
        for number, tool in enumerate(tools if isinstance(tools, list) else ()):
            if isinstance(tool, Mapping):
                yield ("tools", number, "parameters"), tool.get("parameters")
