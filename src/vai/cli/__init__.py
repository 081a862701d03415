"""The command `vai`. Everything but `serve`, `worker` and `run` speaks HTTP."""

from vai.cli.app import main

__all__ = ["main"]
