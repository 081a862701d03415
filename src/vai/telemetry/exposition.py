"""Metrics as Prometheus reads them. Imported at the first scrape: its library is slow to load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from vai.telemetry.metrics import Histogram, Levels, Metrics

_PROCESS = ProcessCollector(registry=None)


def page_of(metrics: Metrics, levels: Levels, version: str, accept: str) -> tuple[bytes, str]:
    """The page that a scrape gets, and its content type, in the format that `accept` asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once([*families(metrics, levels, version), *_PROCESS.collect()]))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Once(Collector):
    """Families that were collected already."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found

    def describe(self) -> Iterable[Metric]:
        return self._found


def families(metrics: Metrics, levels: Levels, version: str) -> Iterator[Metric]:
    """Every family of ours."""
    yield InfoMetricFamily("vai", "The version that runs", {"version": version})
    yield from _counted(metrics)
    yield from _of_this_process(levels)
    yield from _of_the_store(levels)


def _counted(metrics: Metrics) -> Iterator[Metric]:
    yield _counters("vai_run_transitions", "Runs that came into a status", "status", metrics.run_transitions.items())
    steps = CounterMetricFamily("vai_step_transitions", "Steps that came into a status", labels=["kind", "status"])
    for (kind, status), count in sorted(metrics.steps.items()):
        steps.add_metric([kind, status], count)
    yield steps
    yield _counters("vai_events", "Events that were committed", "type", sorted(metrics.events.items()))
    yield _histogram("vai_commit_seconds", "Time that a transaction took", metrics.commit_seconds)
    yield _histogram("vai_commit_jobs", "Changes that one transaction took together", metrics.commit_jobs)
    yield CounterMetricFamily(
        "vai_commit_failures", "Transactions that the database did not take", value=metrics.failed_commits
    )
    requests = HistogramMetricFamily(
        "vai_http_request_seconds", "Time until an answer began", labels=["operation", "status"]
    )
    for (operation, answer), histogram in sorted(metrics.requests.items()):
        requests.add_metric([operation, str(answer)], histogram.cumulative(), histogram.total)
    yield requests


def _of_this_process(levels: Levels) -> Iterator[Metric]:
    yield GaugeMetricFamily("vai_engine_held_runs", "Runs that this engine drives", value=levels.runs_held)
    yield GaugeMetricFamily("vai_engine_steps_at_work", "Steps at work in this process", value=levels.steps_at_work)
    yield CounterMetricFamily(
        "vai_engine_lease_losses", "Times that this engine was taken for dead", value=levels.leases_lost
    )
    yield CounterMetricFamily(
        "vai_engine_lost_runs", "Runs that this engine drove and another took over", value=levels.runs_lost
    )
    yield GaugeMetricFamily("vai_stream_listeners", "Open event streams", value=levels.listeners)


def _of_the_store(levels: Levels) -> Iterator[Metric]:
    standing = levels.standing
    yield GaugeMetricFamily("vai_database_up", "1 when the database answers", value=int(standing is not None))
    if standing is None:
        return
    runs = GaugeMetricFamily("vai_runs", "Runs that are in a status", labels=["status"])
    for status, count in sorted(standing.runs.items()):
        runs.add_metric([status], count)
    yield runs
    since = standing.waiting_since
    age = 0.0 if since is None else max(0, standing.now - since) / 1000
    yield GaugeMetricFamily("vai_queue_runs", "Runs that an engine could take and none holds", value=standing.waiting)
    yield GaugeMetricFamily("vai_queue_age_seconds", "How long the first of them has waited", value=age)
    since = standing.overdue_since
    late = 0.0 if since is None else max(0, standing.now - since) / 1000
    yield GaugeMetricFamily("vai_schedules_late", "Schedules that are due since over a minute", value=standing.overdue)
    yield GaugeMetricFamily("vai_schedules_late_seconds", "By how much the first of them is late", value=late)
    live = sum(engine.is_live for engine in standing.engines)
    yield GaugeMetricFamily("vai_engines_live", "Engines that live, of all processes", value=live)


def _counters(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values:
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, buckets=histogram.cumulative(), sum_value=histogram.total)
