"""The command `python -m bench`."""

import argparse
import json
import signal
import sys
from pathlib import Path

from bench import report, suite

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the speed of vai on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer passes: a look, not a measurement")
    parser.add_argument("--only", help="some workloads, such as W1,W3", default=",".join(suite.WORKLOADS))
    parser.add_argument("--database", choices=suite.DATABASES, help="one database; both without it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every pass's figures here")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    arguments = parser.parse_args()
    arguments.only = [name.strip().upper() for name in arguments.only.split(",")]
    unknown = sorted(set(arguments.only) - set(suite.WORKLOADS))
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; there are {', '.join(suite.WORKLOADS)}")
    return arguments


def main() -> int:
    """Measure, print, and store what was asked for. 130 after Ctrl-C, with everything ended that was started."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    databases = [arguments.database] if arguments.database else list(suite.DATABASES)
    sizes = suite.QUICK if arguments.quick else suite.Sizes()
    try:
        results = suite.run(databases, arguments.only, sizes, lambda line: print(line, file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        return 130
    text = report.markdown(results)
    print(text)
    for miss in report.misses(results):
        print(f"below the aim: {miss}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.write_docs:
        report.write_into(PAGE, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
