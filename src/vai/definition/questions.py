"""What people fill in when they decide: a JSON Schema in the definition of `approval_gate`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vai.definition.faults import Faults, Loc
from vai.definition.inputs import check_value, compile_inputs
from vai.ports import Fault

KIND = "approval_gate"
MAX_BYTES = 48 * 1024  # of the fields as JSON: the answer is the step's result, which is kept in its row

_encode = msgspec.json.Encoder().encode


def check_schema(definition: Any, loc: Loc, faults: Faults) -> None:
    """Note what is wrong with the `fields` of a definition; what an expression gives is checked when it is asked."""
    schema = definition.get("fields") if isinstance(definition, Mapping) else None
    if isinstance(schema, Mapping) and b"{{" not in _encode(schema):
        compile_inputs(schema, (*loc, "fields"), faults)


def schema_faults(schema: Mapping[str, Any]) -> tuple[Fault, ...]:
    """What is wrong with the schema of a question that is about to be asked."""
    faults = Faults()
    compile_inputs(schema, (), faults)
    return faults.listed()


def field_faults(schema: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> tuple[Fault, ...]:
    """What is wrong with the fields of an answer; places are relative to them."""
    if len(_encode(fields)) > MAX_BYTES:
        return (Fault((), f"The fields are larger than {MAX_BYTES:,} bytes."),)
    if schema is None:
        return ()
    faults = Faults()
    validator = compile_inputs(schema, (), faults)
    return faults.listed() if validator is None else check_value(validator, fields)
