"""What operators see of a process: metrics, traces and log lines. It looks on, and nobody waits for it."""

from vai.telemetry.logs import configure_logging
from vai.telemetry.metrics import Levels, Metrics
from vai.telemetry.traces import Traces, are_wanted

__all__ = ["Levels", "Metrics", "Traces", "are_wanted", "configure_logging"]
