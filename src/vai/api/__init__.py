"""The HTTP room: parse, call a door, present."""

from vai.api.app import create_app, create_watch_app, end_streams
from vai.api.doors import Doors

__all__ = ["Doors", "create_app", "create_watch_app", "end_streams"]
