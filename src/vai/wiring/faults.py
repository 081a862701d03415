"""Why a process cannot do what it was started for."""


class CannotServe(Exception):
    """The process cannot do what it was started for; the message is one sentence on why and what to do."""
