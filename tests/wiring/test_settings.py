"""Numbers among the settings: what does not do is refused by name, with what would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vai.settings import BadSetting, Settings, settings_from

TIMES = ("lease_seconds", "renew_seconds", "poll_seconds", "drain_seconds", "heartbeat_seconds")
NUMBERS = (*TIMES, "temporal_heartbeat_seconds", "max_processes", "port")


@pytest.mark.parametrize("text", ["-1", "1e99", "-inf", "inf", "nan", "", "0x10", "five"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_refused_by_name(name: str, text: str) -> None:
    environment = {f"VAI_{name.upper()}": text}
    if not text:
        assert settings_from(environment) == Settings()
        return
    with pytest.raises(BadSetting, match=rf"^VAI_{name.upper()} must be a (whole )?number.*, not "):
        settings_from(environment)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in ("drain_seconds", "port")])
def test_zero_does_only_where_it_means_something(name: str) -> None:
    with pytest.raises(BadSetting, match=f"^VAI_{name.upper()} must be a number from .* to .*, not 0"):
        settings_from({}, **{name: 0})
    assert settings_from({}, drain_seconds=0, port=0).port == 0


@pytest.mark.parametrize("given", [{"port": 65_536}, {"max_processes": 0}, {"drain_seconds": float("nan")}])
def test_what_an_option_gives_is_held_to_the_same(given: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=f"VAI_{next(iter(given)).upper()}"):
        settings_from({}, **given)


def test_a_lease_lasts_at_least_two_renewals() -> None:
    with pytest.raises(BadSetting) as caught:
        settings_from({"VAI_LEASE_SECONDS": "8"})
    assert str(caught.value) == (
        "VAI_LEASE_SECONDS (8) must be at least twice VAI_RENEW_SECONDS (5), or one renewal that comes late loses the "
        "lease. Set VAI_LEASE_SECONDS to 10 or more, or VAI_RENEW_SECONDS to 4 or less."
    )
    assert settings_from({"VAI_LEASE_SECONDS": "10"}).lease_seconds == 10


@pytest.mark.process
@pytest.mark.parametrize(
    "command", [["serve"], ["worker"], ["doctor"], ["backup", "f"], ["restore", "f"], ["run", "f.yaml"]], ids=" ".join
)
def test_every_command_that_reads_settings_says_so(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("steps: [{key: a, kind: wait, definition: {seconds: 0}}]")
    done = subprocess.run(
        [Path(sys.executable).with_name("vai"), *command],
        cwd=tmp_path,
        env={**os.environ, "VAI_POLL_SECONDS": "nan"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "VAI_POLL_SECONDS must be a number from 0.01 to 86400, not nan." in done.stderr
