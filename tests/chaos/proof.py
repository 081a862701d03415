"""What must hold after every storm, read from the stored events and from the ledger outside the database."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.cluster import Cluster
from tests.chaos.load import Book

Effects = Counter[tuple[str, int, int]]

_FINAL = {"completed", "failed", "cancelled"}
_ENDS = {"step.completed", "step.failed", "step.skipped", "step.cancelled"}


@dataclass
class Findings:
    """What was counted, and what should not be."""

    runs: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    events: int = 0
    interrupts: int = 0
    effects: int = 0
    faults: list[str] = field(default_factory=list)

    def expect(self, true: bool, fault: str) -> None:
        """Note a fault unless it holds."""
        if not true:
            self.faults.append(fault)


def prove(cluster: Cluster, book: Book, ledger: Path, seconds: float = 120) -> Findings:
    """Wait until every run has ended, or none has for so long; then hold everything against everything."""
    findings = Findings()
    findings.faults += book.refusals
    client = cluster.client(cluster.servers[-1])
    runs = _wait_until_final(client, seconds, findings)
    findings.runs = len(runs)
    findings.by_status.update(run["status"] for run in runs.values())
    missing = set(book.accepted.values()) - set(runs)
    findings.expect(not missing, f"accepted runs are gone: {sorted(missing)[:5]}")
    findings.expect(len(runs) == len(book.asked), f"{len(book.asked)} keys, but {len(runs)} runs")
    effects = _effects(ledger)
    for run in runs.values():
        _prove_run(client, run, effects[run["id"]], findings)
    strangers = set(effects) - set(runs)
    findings.expect(not strangers, f"steps worked for runs that are not there: {sorted(strangers)[:5]}")
    findings.effects = sum(times for of_run in effects.values() for times in of_run.values())
    return findings


def _get(client: httpx.Client, path: str, **params: Any) -> dict[str, Any]:
    """The answer, asked for again while the server is away: a poisoned run may still be taking it down."""
    pause = threading.Event()
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            answer = client.get(path, params=params, headers={"Accept": "application/json"})
            if answer.status_code == 200:
                return dict(answer.json())
        pause.wait(0.1)
    raise RuntimeError(f"{path}: no answer any more")


def _wait_until_final(client: httpx.Client, seconds: float, findings: Findings) -> dict[str, dict[str, Any]]:
    until, pause, fewest = time.monotonic() + seconds, threading.Event(), -1
    while True:
        live = _get(client, "/automation-runs", status=["pending", "running", "awaiting_approval"], limit=5)
        if live["total"] < fewest or fewest < 0:
            until, fewest = time.monotonic() + seconds, live["total"]
        if live["total"] == 0 or time.monotonic() > until:
            break
        pause.wait(0.3)
    findings.expect(live["total"] == 0, f"{live['total']} runs have not ended, such as {live['items'][:2]}")
    runs: dict[str, dict[str, Any]] = {}
    while True:
        page = _get(client, "/automation-runs", limit=1000, offset=len(runs))
        runs.update((run["id"], run) for run in page["items"])
        if not page["items"] or len(runs) >= page["total"]:
            return runs


def _effects(ledger: Path) -> dict[str, Effects]:
    """By run: how often each execution (step, attempt, try) began to work."""
    begun: dict[str, Effects] = defaultdict(Counter)
    for line in ledger.read_text().splitlines() if ledger.exists() else ():
        word, run_id, key, attempt, number = line.split()
        if word == "begin":
            begun[run_id][key, int(attempt), int(number)] += 1
    return begun


def _events(client: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    path, found = f"/automation-runs/{run_id}/events", []
    while True:
        page = _get(client, path, after=len(found), limit=1000)
        found += page["items"]
        if page["nextAfter"] is None:
            return found


def _prove_run(client: httpx.Client, run: dict[str, Any], effects: Effects, findings: Findings) -> None:
    run_id, events = run["id"], _events(client, run["id"])
    findings.events += len(events)
    findings.expect([e["seq"] for e in events] == list(range(1, len(events) + 1)), f"{run_id}: a gap in the numbers")
    ended: set[tuple[str, int]] = set()
    started: set[tuple[str, int, int]] = set()
    interrupts: Counter[tuple[str, int]] = Counter()
    cancelled_attempt = 0
    for event in events:
        step, kind = (event["stepKey"], event["attempt"]), event["type"]
        if kind == "run.cancel_requested":
            cancelled_attempt = event["attempt"]
        if kind == "step.started":
            execution = (*step, event["data"]["tryNumber"])
            findings.expect(step not in ended, f"{run_id}: {step} started again after its end")
            findings.expect(execution not in started, f"{run_id}: {execution} started twice")
            findings.expect(event["attempt"] != cancelled_attempt, f"{run_id}: {step} started after the cancel")
            started.add(execution)
        elif kind in _ENDS:
            findings.expect(step not in ended, f"{run_id}: {step} ended twice")
            ended.add(step)
        elif kind == "step.interrupted":
            interrupts[step] += 1
    findings.interrupts += sum(interrupts.values())
    if run["status"] in _FINAL:
        findings.expect(events[-1]["type"] == f"run.{run['status']}", f"{run_id}: ends with {events[-1]['type']}")
    _prove_effects(run_id, started, effects, findings)


def _prove_effects(run_id: str, started: set[tuple[str, int, int]], effects: Effects, findings: Findings) -> None:
    """Work begins only after its start is durable, and each started try works at most once: what happens again has
    a further try on record, with the interrupt or the failure that called for it."""
    for execution, times in effects.items():
        findings.expect(execution in started, f"{run_id}: {execution} worked without a start on record")
        findings.expect(times == 1, f"{run_id}: {execution} worked {times} times")
