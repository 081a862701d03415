"""Which figures the report shows: what each is called, its aim, and which bare limit stands beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report. `aims`: on SQLite and on PostgreSQL. `bare`: the limit's name."""

    title: str
    workload: str
    name: str
    unit: str
    aims: tuple[float | None, float | None] = (None, None)
    bare: str | None = None
    more_is_better: bool = False


FIGURES = (
    Figure("W1 steps a second", "W1", "steps_per_s", "/s", (3000, 2200), "w1_steps_per_s", True),
    Figure("W1 submissions a second", "W1", "submissions_per_s", "/s", more_is_better=True),
    Figure("W1 CPU a step: vai", "W1", "cpu_ms_per_step", "ms"),
    Figure("W1 CPU a step: database server", "W1", "database_cpu_ms_per_step", "ms"),
    Figure(
        "W1 with plain `def` steps, in threads", "W1 def", "steps_per_s", "/s", (None, None), "w1_steps_per_s", True
    ),
    Figure("W2 chain of 3, submit to final: p50", "W2", "p50_ms", "ms", (5, 10), "w2_p50_ms"),
    Figure("W2 chain of 3, submit to final: p99", "W2", "p99_ms", "ms", bare="w2_p99_ms"),
    Figure("W2 gap between steps: p50", "W2", "gap_p50_ms", "ms", (1.2, None), "gap_p50_ms"),
    Figure("W2 gap between steps: p99", "W2", "gap_p99_ms", "ms", bare="gap_p99_ms"),
    Figure("W3 one run 1 → 1,000 → 1", "W3", "seconds", "s", (0.2, 0.3), "w3_seconds"),
    Figure("W3 CPU a step: vai", "W3", "cpu_ms_per_step", "ms"),
    Figure("W4 process start to first completed run", "W4", "seconds", "s", (1.2, 1.2)),
    Figure("W4 process start to healthy", "W4", "healthy_seconds", "s"),
    Figure("W4 idle memory: vai", "W4", "memory_mb", "MB", (80, 80)),
    Figure("W4 idle memory: database server", "W4", "database_memory_mb", "MB"),
    Figure("W4 idle CPU: vai", "W4", "idle_cpu_percent", "%"),
    Figure("W5 list of 100: p50", "W5 lists", "list_p50_ms", "ms", (10, 10)),
    Figure("W5 list of 100: p99", "W5 lists", "list_p99_ms", "ms"),
    Figure("W5 with one status: p50", "W5 lists", "failed_p50_ms", "ms", (10, 10)),
    Figure("W5 with two statuses: p50", "W5 lists", "two_p50_ms", "ms", (10, 10)),
    Figure("W5 with the offset in the middle: p50", "W5 lists", "offset_p50_ms", "ms"),
    Figure("W5 event at all 200 listeners: p50", "W5 listeners", "last_p50_ms", "ms", (50, 50)),
    Figure("W5 event at all 200 listeners: worst", "W5 listeners", "last_max_ms", "ms"),
    Figure("W6 on Temporal: steps a second", "W6", "steps_per_s", "/s", bare="bare_steps_per_s", more_is_better=True),
    Figure("W6 on Temporal: time, as a multiple of Temporal's alone", "W6", "overhead", "", (1.3, None)),
    Figure("W6 CPU a step: worker and API", "W6", "cpu_ms_per_step", "ms", bare="bare_cpu_ms_per_step"),
    Figure(
        "W6 CPU a step: Temporal's server", "W6", "temporal_cpu_ms_per_step", "ms", bare="bare_temporal_cpu_ms_per_step"
    ),
)
