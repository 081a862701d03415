"""The composition root: it knows every room, and only the command line knows it."""

from vai.definition import InvalidDefinition
from vai.runs import InvalidInput
from vai.wiring.faults import CannotServe
from vai.wiring.once import RunOutcome, run_once
from vai.wiring.serving import serve, work
from vai.wiring.system import System, clock, running

__all__ = [
    "CannotServe",
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
