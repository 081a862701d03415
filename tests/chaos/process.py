"""A vai process whose wall clock can be moved from outside: `python -m tests.chaos.process OFFSET_FILE ARGUMENTS…`."""

import contextlib
import sys
import time
from pathlib import Path

from vai.cli.app import run

_real_time_ns = time.time_ns


def main() -> int:
    """Run the command line with a clock that is ahead by the milliseconds in the file."""
    offset = Path(sys.argv[1])

    def time_ns() -> int:
        ahead = 0
        with contextlib.suppress(OSError, ValueError):
            ahead = int(offset.read_text())
        return _real_time_ns() + ahead * 1_000_000

    time.time_ns = time_ns
    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
