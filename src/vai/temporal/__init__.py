"""Runs driven by Temporal: a thin workflow carries the same state machine, and activities execute the steps."""

from vai.temporal.connecting import TemporalSettings
from vai.temporal.dispatcher import Dispatcher
from vai.temporal.worker import TemporalWorker

__all__ = ["Dispatcher", "TemporalSettings", "TemporalWorker"]
