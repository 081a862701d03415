"""The composition root: it knows every room, and only the command line knows it."""

from vai.definition import InvalidDefinition
from vai.ports import Fault
from vai.runs import Answer, InvalidInput
from vai.wiring.asking import Ask
from vai.wiring.faults import CannotServe
from vai.wiring.once import Attendant, RunOutcome, run_once
from vai.wiring.serving import serve, work
from vai.wiring.system import System, clock, running

__all__ = [
    "Answer",
    "Ask",
    "Attendant",
    "CannotServe",
    "Fault",
    "InvalidDefinition",
    "InvalidInput",
    "RunOutcome",
    "System",
    "clock",
    "run_once",
    "running",
    "serve",
    "work",
]
