"""What starts runs besides people: schedules."""

from vai.triggers.schedules import Schedules

__all__ = ["Schedules"]
