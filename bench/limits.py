"""The limits of the machine: the same rows without an engine, a disk's fsync, and a loop that only counts."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from bench import bare_rows
from bench.bare_rows import Commit, Waves
from bench.stats import Figures, percentile

Write = Callable[[Commit], None]
"""Makes one commit durable."""


def bare_sqlite(folder: Path, w1_runs: int, w2_chains: int, w3_width: int) -> Figures:
    """The rows of W1, W2 and W3 in a file of their own: WAL, synchronous FULL, one transaction a commit."""
    path = folder / "bare.db"
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for setting in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=2000", "cache_size=-16000"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        for table in bare_rows.TABLES:
            connection.execute(table)

        def write(commit: Commit) -> None:
            connection.execute("BEGIN IMMEDIATE")
            for sql, rows in commit.statements():
                connection.executemany(sql, rows)
            connection.execute("COMMIT")

        return _measure(write, w1_runs, w2_chains, w3_width)
    finally:
        connection.close()
        for file in folder.glob("bare.db*"):
            file.unlink()


def bare_postgres(url: str, w1_runs: int, w2_chains: int, w3_width: int) -> Figures:
    """The same rows through one connection, each commit in one pipeline."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in bare_rows.TABLES:
            connection.execute(table)

        def write(commit: Commit) -> None:
            with connection.pipeline(), connection.transaction(), connection.cursor() as cursor:
                for sql, rows in commit.statements():
                    cursor.executemany(sql.replace("?", "%s"), rows)

        try:
            return _measure(write, w1_runs, w2_chains, w3_width)
        finally:
            connection.execute("DROP TABLE bare_runs, bare_steps, bare_events")


def _measure(write: Write, w1_runs: int, w2_chains: int, w3_width: int) -> Figures:
    _times(write, 5, bare_rows.chain(3), 1)
    grouped = _times(write, w1_runs, bare_rows.diamond(8), 1)[0]
    singly = _times(write, 1, bare_rows.chain(3), w2_chains)
    wide = _times(write, 1, bare_rows.diamond(w3_width), 1)[0]
    commits = [seconds for chain in singly for seconds in chain[1:]]
    return {
        "w1_steps_per_s": w1_runs * 10 / sum(grouped),
        "w2_p50_ms": percentile([sum(chain) * 1000 for chain in singly], 0.5),
        "w2_p99_ms": percentile([sum(chain) * 1000 for chain in singly], 0.99),
        "gap_p50_ms": percentile(commits, 0.5) * 1000,
        "gap_p99_ms": percentile(commits, 0.99) * 1000,
        "w3_seconds": sum(wide),
    }


def _times(write: Write, runs: int, waves: Waves, repeats: int) -> list[list[float]]:
    """Seconds of each commit of each repeat; the rows are made beforehand."""
    prepared = [bare_rows.commits(runs, waves) for _ in range(repeats)]
    return [[_timed(write, commit) for commit in commits] for commits in prepared]


def _timed(write: Write, commit: Commit) -> float:
    began = time.perf_counter()
    write(commit)
    return time.perf_counter() - began


def fsync_ms(folder: Path, count: int = 300) -> Figures:
    """How long the disk takes to make 4 KiB at a file's end durable."""
    path = folder / "fsync"
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99)}


def calibration_seconds(turns: int = 3_000_000) -> float:
    """How long a bare loop takes here and now: tells how far two runs of the benchmark can be compared."""
    began = time.perf_counter()
    total = 0
    for number in range(turns):
        total += number & 7
    return time.perf_counter() - began


def spread(values: Sequence[float]) -> str:
    """The smallest and the greatest of some values, as text."""
    return f"{min(values):.2f}–{max(values):.2f}"
