"""Spans for OpenTelemetry: sent to a collector, and the step's place in its trace made known to what actions call.

Needs the extra `otel`; imported only where traces are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from vai.ports import Action, ActionContext, Actions
from vai.telemetry.spans import Span

_PER_REQUEST = 512
_MILLI = 1_000_000  # nanoseconds


class Collector:
    """The collector that the standard variables OTEL_EXPORTER_OTLP_… name."""

    def __init__(self, version: str, exporter: SpanExporter | None = None) -> None:
        self._exporter = exporter or OTLPSpanExporter()
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before these.
        self._resource = Resource({"service.name": "vai", "service.version": version}).merge(Resource.create())
        self._scope = InstrumentationScope("vai", version)

    def send(self, spans: Sequence[Span]) -> bool:
        """Send them; False when the collector did not take all. Blocks."""
        made = [self._made(span) for span in spans]
        parts = (made[at : at + _PER_REQUEST] for at in range(0, len(made), _PER_REQUEST))
        return all(self._exporter.export(part) is SpanExportResult.SUCCESS for part in parts)

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()

    def _made(self, span: Span) -> ReadableSpan:
        ok = span.error is None
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(note.name, note.attributes, note.at * _MILLI) for note in span.notes],
            status=trace.Status(trace.StatusCode.OK if ok else trace.StatusCode.ERROR, span.error),
            start_time=span.begun_at * _MILLI,
            end_time=span.ended_at * _MILLI,
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str) -> trace.SpanContext:
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=sampled)


class TracedActions:
    """Actions within whose calls OpenTelemetry's current span is that of their step."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._traced: dict[str, Action] = {}

    def get(self, kind: str) -> Action | None:
        """The kind of that name, if there is one."""
        action = self._actions.get(kind)
        if action is not None and kind not in self._traced:
            self._traced[kind] = cast("Action", _Traced(action))
        return self._traced.get(kind)

    def all(self) -> Sequence[Action]:
        """Every kind."""
        return self._actions.all()


class _Traced:
    def __init__(self, action: Action) -> None:
        self._action = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._action, name)

    async def run(self, definition: Any, context: ActionContext) -> Any:
        carrier = {"traceparent": context.traceparent}
        token = otel_context.attach(TraceContextTextMapPropagator().extract(carrier))
        try:
            return await self._action.run(definition, context)
        finally:
            otel_context.detach(token)
