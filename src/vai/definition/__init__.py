"""An automation's config: parsed, checked and compiled, with its expressions."""

from vai.definition.bounds import check_bounds
from vai.definition.expression import Expression
from vai.definition.faults import Faults, InvalidDefinition
from vai.definition.inputs import is_large
from vai.definition.keys import KeyRule, key_of
from vai.definition.matching import is_met
from vai.definition.model import TRIGGERS, definition_schema
from vai.definition.parse import Definition, check_input, given_input, parse, resolve
from vai.definition.questions import field_faults, schema_faults
from vai.definition.refs import fixed_refs, unknown_ref
from vai.definition.rules import Rule, rule_of
from vai.definition.schedule import BadLine, BadZone, Schedule
from vai.definition.scope import time_text
from vai.definition.secrets import HIDDEN, SEALED, trigger_secrets, with_secrets
from vai.definition.template import Template
from vai.definition.triggers import Trigger, key_in, schedule_of

__all__ = [
    "HIDDEN",
    "SEALED",
    "TRIGGERS",
    "BadLine",
    "BadZone",
    "Definition",
    "Expression",
    "Faults",
    "InvalidDefinition",
    "KeyRule",
    "Rule",
    "Schedule",
    "Template",
    "Trigger",
    "check_bounds",
    "check_input",
    "definition_schema",
    "field_faults",
    "fixed_refs",
    "given_input",
    "is_large",
    "is_met",
    "key_in",
    "key_of",
    "parse",
    "resolve",
    "rule_of",
    "schedule_of",
    "schema_faults",
    "time_text",
    "trigger_secrets",
    "unknown_ref",
    "with_secrets",
]
