"""An automation's config: parsed, checked and compiled, with its expressions."""

from vai.definition.expression import Expression
from vai.definition.faults import InvalidDefinition
from vai.definition.inputs import is_large
from vai.definition.keys import KeyRule, key_of
from vai.definition.matching import is_met
from vai.definition.model import TRIGGERS, definition_schema
from vai.definition.parse import Definition, check_input, given_input, parse, resolve
from vai.definition.questions import field_faults, schema_faults
from vai.definition.refs import fixed_refs, unknown_ref
from vai.definition.schedule import BadLine, BadZone, Schedule
from vai.definition.scope import time_text
from vai.definition.template import Template
from vai.definition.triggers import Trigger, schedule_of

__all__ = [
    "TRIGGERS",
    "BadLine",
    "BadZone",
    "Definition",
    "Expression",
    "InvalidDefinition",
    "KeyRule",
    "Schedule",
    "Template",
    "Trigger",
    "check_input",
    "definition_schema",
    "field_faults",
    "fixed_refs",
    "given_input",
    "is_large",
    "is_met",
    "key_of",
    "parse",
    "resolve",
    "schedule_of",
    "schema_faults",
    "time_text",
    "unknown_ref",
]
