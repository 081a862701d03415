"""Executing a step, whoever drives the run: its context, its limits, what it tells and what it answered."""

from vai.execution.connections import ConnectedActions
from vai.execution.context import StepContext
from vai.execution.execution import Execution
from vai.execution.journal import Journal

__all__ = ["ConnectedActions", "Execution", "Journal", "StepContext"]
