"""The results as Markdown, and their place in the docs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import FIGURES, Figure
from bench.limits import spread
from bench.stats import best, medians

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_TITLES = {
    "sqlite": "SQLite, WAL, `synchronous=FULL`",
    "postgres": "PostgreSQL on the same machine, `fsync` and `synchronous_commit` on",
}
_HEAD = "| | median | best pass | aim | bare limit | vai / bare |\n| --- | ---: | ---: | ---: | ---: | ---: |"


def markdown(results: Mapping[str, Any]) -> str:
    """The tables, one a database, with the machine's own figures above them."""
    parts = [_machine(results["machine"])]
    for number, database in enumerate(_TITLES):
        measured = results["databases"].get(database)
        if measured:
            lines = _lines(measured, number)
            parts.append(f"### {_TITLES[database]}\n\n{_HEAD}\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _machine(machine: Mapping[str, Any]) -> str:
    fsync = machine["fsync"]
    databases = f"SQLite {machine['sqlite']}" + (f", PostgreSQL {machine['postgres']}" if machine["postgres"] else "")
    return (
        f"Measured on {machine['cpus']} CPUs, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}, {databases}. One fsync of 4 KiB: {fsync['p50_ms']:.2f} ms "
        f"(p99 {fsync['p99_ms']:.2f}). Calibration loop: {spread(machine['calibration_s'])} s. "
        f"Load before the first and after each database: {', '.join(f'{load:.1f}' for load in machine['load'])}."
    )


def _lines(measured: Mapping[str, Any], number: int) -> list[str]:
    found = []
    for figure in FIGURES:
        passes = measured["passes"].get(figure.workload)
        if passes and not (number == 0 and figure.name.startswith("database_")):
            bare = measured["bare"].get(figure.workload)
            found.append(_line(figure, passes, medians(bare) if bare else {}, figure.aims[number]))
    return found


def _line(figure: Figure, passes: Any, bare: Mapping[str, float], aim: float | None) -> str:
    middle = medians(passes)[figure.name]
    at_best = best(passes, figure.name, more_is_better=figure.more_is_better)
    limit = bare[figure.bare] if figure.bare else None
    cells = [
        figure.title,
        _number(middle, figure.unit),
        _number(at_best, figure.unit),
        "" if aim is None else ("≥ " if figure.more_is_better else "≤ ") + _number(aim, figure.unit),
        "" if limit is None else _number(limit, figure.unit),
        "" if limit is None else f"{middle / limit:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return text + (unit if unit in ("/s", "%", "") else f" {unit}")


def misses(results: Mapping[str, Any]) -> list[str]:
    """The aims that the medians do not reach, in words."""
    found = []
    for number, database in enumerate(_TITLES):
        measured = results["databases"].get(database, {"passes": {}})
        for figure in FIGURES:
            aim, passes = figure.aims[number], measured["passes"].get(figure.workload)
            if aim is None or not passes:
                continue
            middle = medians(passes)[figure.name]
            if (middle < aim) if figure.more_is_better else (middle > aim):
                found.append(
                    f"{database}: {figure.title} is {_number(middle, figure.unit)}, aim {_number(aim, figure.unit)}"
                )
    return found


def write_into(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page. Raises ValueError when they are not there, once each."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
