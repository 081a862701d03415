"""Which processes start the runs of schedules."""

from pathlib import Path

import pytest

from vai.settings import Settings
from vai.wiring.system import running


@pytest.mark.parametrize(
    ("engine", "schedules", "looks"), [(True, True, True), (False, True, False), (True, False, False)]
)
async def test_whoever_drives_runs_looks_but_for_a_single_run(
    tmp_path: Path, engine: bool, schedules: bool, looks: bool
) -> None:
    async with running(Settings(data_dir=tmp_path, engine=engine), schedules=schedules) as system:
        assert system.schedules.is_looking is looks
    assert not system.schedules.is_looking
