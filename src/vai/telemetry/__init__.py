"""What operators see of a process: metrics, traces and log lines. It looks on, and nobody waits for it."""

from vai.telemetry.logs import configure_logging
from vai.telemetry.metrics import Levels, Metrics

__all__ = ["Levels", "Metrics", "configure_logging"]
