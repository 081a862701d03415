"""`python -m tests.model`: explore every scenario within its short budget, or with `--deep` within its long one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.explore import Counterexample, explore
from tests.model.scenarios import SCENARIOS, Scenario
from tests.model.store import Model


def main() -> int:
    """Print a table; 1 when something was found that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--deep", action="store_true", help="some minutes and gigabytes, instead of seconds")
    parser.add_argument("scenario", nargs="*", help="only these")
    given = parser.parse_args()
    print("| scenario | commands | crashes | lost leases | lost answers | stops | states | transitions | s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    chosen = [scenario for scenario in SCENARIOS if scenario.name in given.scenario or not given.scenario]
    wrong = sum(not _is_so(scenario, deep=given.deep) for scenario in chosen)
    return 1 if wrong else 0


def _is_so(scenario: Scenario, *, deep: bool) -> bool:
    began = time.monotonic()
    model = Model.of(scenario, deep=deep)
    try:
        found = explore(model)
    except Counterexample as counterexample:
        print(f"{scenario.name}: {counterexample}", file=sys.stderr, flush=True)
        return False
    cells = (scenario.name, *model.budget, f"{found.states:,}", f"{found.transitions:,}")
    print("| " + " | ".join(map(str, cells)) + f" | {time.monotonic() - began:.0f} |", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
