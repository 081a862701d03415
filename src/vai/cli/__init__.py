"""The command `vai`. Everything but `serve`, `worker`, `run`, `doctor`, `backup` and `restore` speaks HTTP."""

from vai.cli.app import main

__all__ = ["main"]
