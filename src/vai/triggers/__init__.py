"""What starts runs besides people: schedules and webhooks."""

from vai.triggers.schedules import Schedules
from vai.triggers.webhooks import Webhooks

__all__ = ["Schedules", "Webhooks"]
