"""Traces, where the standard variables of OpenTelemetry say that they are wanted."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.metadata import version

from vai.ports import Actions, Store
from vai.runs import Door
from vai.telemetry import Traces, are_wanted

_log = logging.getLogger("vai")


@dataclass(frozen=True)
class Tracing:
    """The traces of a process, and the actions within whose calls their step's span is the current one."""

    traces: Traces
    actions: Actions


def tracing(store: Store, door: Door, actions: Actions) -> Tracing | None:
    """Traces for this process; None when they are not wanted, or what sends them is not installed."""
    if not are_wanted(os.environ):
        return None
    try:
        from vai.telemetry.otel import Collector, TracedActions  # noqa: PLC0415
    except ImportError:
        _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but no traces are sent: pip install 'vai-engine[otel]'.")
        return None
    traces = Traces(store, door, Collector(version("vai-engine")))
    store.on_commit.append(traces.on_commit)
    return Tracing(traces, TracedActions(actions))
