"""`make chaos`: the long form of the fault suite. `ARGS="--storms 10 --runs 1000 --seed 1 --database postgresql"`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.proof import Findings
from tests.chaos.storm import Plan, storm


def main() -> int:
    """Run the storms and print a table; 1 when anything was found that should not be."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--storms", type=int, default=10, help="how many, each with the next seed")
    parser.add_argument("--runs", type=int, default=1000, help="at least so many runs a storm")
    parser.add_argument("--seconds", type=float, default=30, help="at least so long a storm")
    parser.add_argument("--seed", type=int, default=1, help="of the first storm")
    parser.add_argument("--people", type=int, default=3, help="who start, cancel and retry runs at once")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = parser.parse_args()
    databases = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    print("| database | seed | faults | runs | completed / failed / cancelled | events | interrupts | wrong | s |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    wrong = 0
    for seed in range(given.seed, given.seed + given.storms):
        for database in databases:
            wrong += _one(Plan(seed, database, given.runs, given.seconds, given.people))
    return 1 if wrong else 0


def _one(plan: Plan) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vai-chaos-") as folder:
        findings, done = storm(plan, Path(folder))
    print(_row(plan, findings, done, time.monotonic() - began), flush=True)
    for fault in findings.faults[:20]:
        print(f"  WRONG: {fault}", file=sys.stderr, flush=True)
    if findings.faults:
        print(f"  what was done: {dict(Counter(done))}", file=sys.stderr, flush=True)
    return len(findings.faults)


def _row(plan: Plan, found: Findings, done: list[str], seconds: float) -> str:
    ends = " / ".join(str(found.by_status[status]) for status in ("completed", "failed", "cancelled"))
    cells = [plan.database, plan.seed, len(done), found.runs, ends, found.events, found.interrupts]
    return "| " + " | ".join(map(str, [*cells, len(found.faults), f"{seconds:.0f}"])) + " |"


if __name__ == "__main__":
    sys.exit(main())
