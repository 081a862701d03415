"""The report of the flights example: one function of our own as a step."""

import json
from pathlib import Path
from typing import Any

from vai import Context, action


@action
def flights_report(
    context: Context,
    folder: str,
    tables: dict[str, int],
    checks: list[dict[str, Any]],
    airports: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write report.json and report.md."""
    report = {
        "rowsExtracted": sum(tables.values()),
        "tables": tables,
        "checksPassed": sum(check["passed"] for check in checks),
        "flights": sum(airport["flights"] for airport in airports),
        "cancelled": sum(airport["cancelled"] for airport in airports),
        "airports": airports,
    }
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (target / "report.md").write_text(as_markdown(report))
    context.logger.info("The report is in %s", target / "report.md")
    return {
        "flights": report["flights"],
        "cancelled": report["cancelled"],
        "files": [str(target / "report.json"), str(target / "report.md")],
    }


def as_markdown(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# A year of flights from New York",
        "",
        f"{report['flights']:,} flights in 2013, of which {report['cancelled']:,} were cancelled; "
        f"{report['rowsExtracted']:,} rows were extracted, and {report['checksPassed']} checks passed.",
        "",
        "| airport | flights | cancelled | mean delay (min) | worst day | mean delay that day (min) |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for airport in report["airports"]:
        worst = airport["worst_day"]
        lines.append(
            f"| {airport['origin']} | {airport['flights']:,} | {airport['cancelled']:,} | {airport['mean_delay']} "
            f"| {worst['day']} | {worst['mean_delay']} |"
        )
    lines += ["", "## Delays by weather", "", "| airport | weather | flights | mean delay (min) | cancelled |"]
    lines.append("| --- | --- | ---: | ---: | ---: |")
    for airport in report["airports"]:
        lines += [
            f"| {airport['origin']} | {row['weather']} | {row['flights']:,} | {row['mean_delay']} "
            f"| {row['percent_cancelled']} % |"
            for row in airport["by_weather"]
        ]
    return "\n".join(lines) + "\n"
