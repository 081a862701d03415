"""When a schedule is due: a cron line of five fields, read on the clocks of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from vai.domain.state import Instant

MAX_LINE = 200
_FIELDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LOOK_BACK = (3_600_000, 86_400_000, 31 * 86_400_000, 366 * 86_400_000)


class BadLine(ValueError):
    """A cron line that cannot be read, or is never due; the message is a sentence."""


class BadZone(ValueError):
    """A time zone that is not known; the message is a sentence."""


class Schedule:
    """A cron line in a time zone.

    Where clocks are put forward, a line that names its minute and hour is due at the end of the hour that is missing;
    where they are put back, it is due once. A line with `*` for its minute or hour goes by the time that really passes.
    """

    def __init__(self, line: str, zone: str) -> None:
        """Raises BadLine, BadZone."""
        self._line, self._zone = line, zone_of(zone)
        if len(line) > MAX_LINE or len(line.split()) != _FIELDS:
            raise BadLine("A cron line has five fields: minute, hour, day of the month, month, day of the week.")
        try:
            CronSim(line, _EPOCH)
        except CronSimError as error:
            raise BadLine(f"The cron line cannot be read: {str(error).lower()}.") from None
        if self.after(0) is None:
            raise BadLine("No time ever fits this cron line.")

    def after(self, at: Instant) -> Instant | None:
        """The first due time later than `at`; None when there is none within 50 years."""
        return next(self.due_times(at), None)

    def due_times(self, after: Instant) -> Iterator[Instant]:
        """Due times later than `after`, in their order, each once."""
        last = after
        for moment in CronSim(self._line, (_EPOCH + after * _MILLISECOND).astimezone(self._zone)):
            # What the clocks skip falls together with what follows, and what they repeat comes again.
            due = (moment.astimezone(UTC) - _EPOCH) // _MILLISECOND
            if due > last:
                last = due
                yield due

    def latest(self, after: Instant, until: Instant) -> Instant | None:
        """The last due time later than `after` and not later than `until`, if there is one."""
        for back in (*_LOOK_BACK, until - after):
            found = None
            for due in self.due_times(max(after, until - back)):
                if due > until:
                    break
                found = due
            if found is not None:
                return found
        return None


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this IANA name. Raises BadZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        shown = name if len(name) <= 40 else f"{name[:40]}..."
        raise BadZone(f"There is no time zone {shown!r}. Zones are named like Europe/Berlin.") from None
