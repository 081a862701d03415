"""Runs driven by Temporal: a thin workflow carries the same state machine, and activities execute the steps."""

from vai.temporal.connecting import TemporalSettings, Unusable, server_version
from vai.temporal.dispatcher import Dispatcher
from vai.temporal.worker import TemporalWorker

__all__ = ["Dispatcher", "TemporalSettings", "TemporalWorker", "Unusable", "server_version"]
