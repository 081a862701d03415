"""When schedules are due: real zones, both changes of the clocks."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vai.definition import BadLine, BadZone, Schedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Santiago")
HOUR, DAY = 3_600_000, 86_400_000


def at(text: str) -> int:
    """An ISO time with its offset as an instant."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def shown(instant: int, zone: str) -> str:
    return datetime.fromtimestamp(instant / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


def due(line: str, zone: str, after: str, count: int) -> list[str]:
    return [shown(one, zone) for one in islice(Schedule(line, zone).due_times(at(after)), count)]


@pytest.mark.parametrize(
    "line, expected",
    [
        # 02:00 to 03:00 are missing: due when they would have ended, and not a second time.
        ("30 2 * * *", ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("0 2,3 * * *", ["2026-03-28T02:00+01:00", "2026-03-28T03:00+01:00", "2026-03-29T03:00+02:00"]),
        ("0 3 * * *", ["2026-03-28T03:00+01:00", "2026-03-29T03:00+02:00", "2026-03-30T03:00+02:00"]),
    ],
)
def test_an_hour_that_is_missing(line: str, expected: list[str]) -> None:
    assert due(line, "Europe/Berlin", "2026-03-28T00:00+01:00", 3) == expected


def test_every_hour_goes_by_the_time_that_passes_when_one_is_missing() -> None:
    found = due("0 * * * *", "Europe/Berlin", "2026-03-29T00:30+01:00", 3)
    assert found == ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]


@pytest.mark.parametrize(
    "line, expected",
    [
        # 02:00 to 03:00 come twice: a fixed time is due in the first.
        ("30 2 * * *", ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("0 3 * * *", ["2026-10-24T03:00+02:00", "2026-10-25T03:00+01:00", "2026-10-26T03:00+01:00"]),
    ],
)
def test_an_hour_that_comes_twice(line: str, expected: list[str]) -> None:
    assert due(line, "Europe/Berlin", "2026-10-24T00:00+02:00", 3) == expected


def test_every_half_hour_goes_by_the_time_that_passes_when_one_comes_twice() -> None:
    found = due("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:45+02:00", 5)
    assert found == [
        *("2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00"),
        *("2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"),
        "2026-10-25T03:00+01:00",
    ]


@pytest.mark.parametrize("after", ["2026-10-25T02:10+01:00", "2026-10-25T02:40+02:00", "2026-10-25T02:30+02:00"])
def test_within_the_doubled_hour_a_fixed_time_does_not_come_again(after: str) -> None:
    assert due("30 2 * * *", "Europe/Berlin", after, 1) == ["2026-10-26T02:30+01:00"]


def test_a_day_that_begins_without_its_first_hour() -> None:
    assert due("15 0 * * *", "Asia/Beirut", "2026-03-28T12:00+02:00", 2) == [
        "2026-03-29T01:00+03:00",
        "2026-03-30T00:15+03:00",
    ]


@pytest.mark.parametrize("line", ["", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "*/0 * * * *", "@daily"])
def test_a_line_that_cannot_be_read(line: str) -> None:
    with pytest.raises(BadLine):
        Schedule(line, "UTC")


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_line_that_is_never_due(line: str) -> None:
    with pytest.raises(BadLine):
        Schedule(line, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "x" * 400, "a\0"])
def test_a_zone_that_is_not_known(zone: str) -> None:
    with pytest.raises(BadZone):
        Schedule("* * * * *", zone)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789*/,-#LW MONSUJAN@?", max_size=30))
def test_whatever_is_written_is_read_or_refused(line: str) -> None:
    with contextlib.suppress(BadLine):
        Schedule(line, "Europe/Berlin")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["*", "*/15", "0", "30", "10,50"]),
    st.sampled_from(["*", "*/2", "2", "0-3", "1,23"]),
    st.sampled_from(ZONES),
    st.integers(at("2025-01-01T00:00+00:00"), at("2027-01-01T00:00+00:00")),
)
def test_due_times_are_in_order_and_stand_in_the_line(minute: str, hour: str, zone: str, start: int) -> None:
    schedule = Schedule(f"{minute} {hour} * * *", zone)
    found = list(islice(schedule.due_times(start), 30))
    assert found == sorted(set(found))
    assert found[0] > start
    # Where one stands does not matter: from each due time on come the same ones.
    assert [schedule.after(one) for one in found[:-1]] == found[1:]
    assert schedule.latest(start, found[-1]) == found[-1]
    assert schedule.latest(start, found[0] - 1) is None
    for one in found:
        local = datetime.fromtimestamp(one / 1000, ZoneInfo(zone))
        before = (datetime.fromtimestamp(one / 1000, UTC) - timedelta(hours=1)).astimezone(ZoneInfo(zone))
        skipped = local.utcoffset() != before.utcoffset()
        assert skipped or str(local.minute) in minutes_of(minute), (local, minute)


def minutes_of(field: str) -> set[str]:
    if field == "*":
        return {str(one) for one in range(60)}
    return {"0", "15", "30", "45"} if field == "*/15" else set(field.split(","))


def test_the_latest_of_a_long_time_is_found_at_once() -> None:
    now = at("2026-06-01T12:00:30+00:00")
    assert Schedule("* * * * *", "UTC").latest(0, now) == now - 30_000
    assert Schedule("0 0 29 2 *", "UTC").latest(0, now) == at("2024-02-29T00:00+00:00")
    assert Schedule("0 0 1 1 *", "UTC").latest(now - HOUR, now) is None
