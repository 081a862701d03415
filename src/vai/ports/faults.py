"""What keeps a backup or a restore from being made."""


class CannotCopy(Exception):
    """A backup or a restore was refused or failed; the message says why and what to do. What was there is untouched."""
