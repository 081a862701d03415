"""The benchmark itself, in tiny sizes: it must run, count what it did, and leave nothing behind. Never a time."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from bench import bare_rows, report, stats, suite
from bench.figures import FIGURES
from bench.processes import tree

TINY = suite.Sizes(
    passes=1,
    starts=1,
    w1_runs=6,
    w2_chains=2,
    w3_width=12,
    idle_seconds=0.01,
    stored_runs=250,
    list_requests=2,
    listeners=3,
    listener_events=2,
    w6_runs=2,
    w6_passes=1,
)
ENGINE = {"W1", "W1 def", "W2", "W3"}


@pytest.mark.process
@pytest.mark.parametrize(
    "database, only, expected",
    [
        pytest.param("sqlite", suite.WORKLOADS[:5], ENGINE | {"W4", "W5 lists", "W5 listeners"}),
        pytest.param("postgres", ("W1", "W2", "W3"), ENGINE, marks=[pytest.mark.postgres, pytest.mark.slow]),
    ],
)
def test_every_workload_runs_and_every_figure_is_there(
    database: str, only: tuple[str, ...], expected: set[str]
) -> None:
    lines: list[str] = []
    before = tree(os.getpid())
    results = suite.run([database], only, TINY, lines.append)

    measured = results["databases"][database]
    assert set(measured["passes"]) == expected
    assert len(lines) == len(expected)
    for figure in FIGURES:
        for figures in measured["passes"].get(figure.workload, ()):
            assert figures[figure.name] >= 0
    assert set(measured["bare"]) == ENGINE
    assert all(value > 0 for (one,) in measured["bare"].values() for value in one.values())
    assert tree(os.getpid()) == before, "processes were left behind"
    json.dumps(results)


def test_bare_rows_are_as_many_as_the_engine_writes() -> None:
    commits = bare_rows.commits(3, bare_rows.diamond(8))

    assert len(commits) == 5
    assert sum(len(commit.new_runs) for commit in commits) == 3
    assert sum(len(commit.runs) for commit in commits) == 3 * 4
    assert sum(len(commit.steps) for commit in commits) == 3 * 10 * 2, "each step is written at its start and its end"
    numbers = sorted((row[0], row[1]) for commit in commits for row in commit.events)
    runs = sorted({run for run, _ in numbers})
    assert numbers == [(run, seq) for run in runs for seq in range(1, 24)], "created, started, completed and 2 a step"


@pytest.mark.parametrize("share, expected", [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_the_smallest_sample_that_covers_the_share(share: float, expected: int) -> None:
    assert stats.percentile(range(100, 0, -1), share) == expected


def results_with(steps_per_s: list[float]) -> dict[str, object]:
    passes = [{f.name: 1.0 for f in FIGURES if f.workload == "W1"} | {"steps_per_s": value} for value in steps_per_s]
    machine = {
        "cpus": 2,
        "memory_gib": 24,
        "system": "Linux",
        "python": "3.11",
        "sqlite": "3.40",
        "postgres": "",
        "fsync": {"p50_ms": 0.2, "p99_ms": 0.3},
        "calibration_s": [0.1, 0.2],
        "load": [0.5, 1.5],
    }
    bare = {"W1": [{"w1_steps_per_s": 10_000.0}]}
    return {"machine": machine, "databases": {"sqlite": {"passes": {"W1": passes}, "bare": bare}}}


def test_the_median_decides_whether_an_aim_is_met() -> None:
    assert report.misses(results_with([9_000.0, 2_900.0, 3_100.0])) == []
    (miss,) = report.misses(results_with([9_000.0, 2_900.0, 2_800.0]))
    assert "2,900/s" in miss
    assert "3,000/s" in miss


def test_the_table_shows_median_best_aim_limit_and_ratio() -> None:
    (line,) = [
        one for one in report.markdown(results_with([4_000.0, 5_000.0, 6_000.0])).splitlines() if "W1 steps" in one
    ]
    assert line == "| W1 steps a second | 5,000/s | 6,000/s | ≥ 3,000/s | 10,000/s | 0.50 |"


def test_the_docs_page_keeps_everything_but_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_into(page, "new")
    report.write_into(page, "newer")
    assert page.read_text() == f"before\n{report.BEGIN}\n\nnewer\n{report.END}\nafter\n"

    page.write_text("no markers")
    with pytest.raises(ValueError, match="has no"):
        report.write_into(page, "new")


def test_the_docs_page_has_a_place_for_the_table() -> None:
    page = Path(report.__file__).parents[1] / "docs" / "performance.md"
    assert page.read_text().index(report.BEGIN) < page.read_text().index(report.END)


def test_sizes_of_a_quick_look_are_no_greater() -> None:
    full = dataclasses.asdict(suite.Sizes())
    assert all(value <= full[name] for name, value in dataclasses.asdict(suite.QUICK).items())
