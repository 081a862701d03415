"""The workload on Temporal, small: it runs, and its figures are there."""

from pathlib import Path

import pytest

from bench.workloads import w6_temporal


@pytest.mark.temporal
@pytest.mark.slow
def test_diamonds_on_temporal_are_measured_beside_bare_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAI_DAG_ENGINE", "VAI_TEMPORAL_ADDRESS"):
        monkeypatch.setenv(name, "")  # set anew by the workload, and as it was afterwards
    (figures,) = w6_temporal.measure(tmp_path, runs=2, passes=1)
    assert figures["overhead"] == pytest.approx(figures["bare_steps_per_s"] / figures["steps_per_s"])
    assert min(figures["cpu_ms_per_step"], figures["temporal_cpu_ms_per_step"]) > 0
