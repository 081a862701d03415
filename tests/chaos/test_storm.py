"""The short form of the fault suite; the long one is `make chaos`."""

from pathlib import Path

import pytest

from tests.chaos.storm import Plan, storm


@pytest.mark.timeout(240)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_doubled_in_a_storm(database: str, tmp_path: Path) -> None:
    findings, done = storm(Plan(seed=7, database=database, runs=60, seconds=8), tmp_path)
    assert findings.faults == [], done
    assert findings.runs >= 60
    assert findings.interrupts > 0, "nothing was hit"
