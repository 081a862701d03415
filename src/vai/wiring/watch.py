"""What operators ask of a running process: how it is (`/health?deep=true`), and its metrics."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from vai.domain.state import Instant
from vai.engine import Engine
from vai.ports import Standing, Store, StoreUnavailable
from vai.runs import EventHub
from vai.settings import Settings
from vai.telemetry import Levels, Metrics
from vai.wiring.dag import OnTemporal, served_here

WAITS_TOO_LONG_SECONDS = 60.0
_ANSWERS_SECONDS = 5.0  # a database that takes longer is told as failing

Part = dict[str, Any]


class Watch:
    """Looks at the parts of a process; changes nothing."""

    def __init__(
        self, settings: Settings, store: Store, hub: EventHub, engine: Engine, temporal: OnTemporal | None
    ) -> None:
        self._settings = settings
        self._store = store
        self._hub = hub
        self._engine = engine
        self._temporal = temporal
        self.metrics = Metrics()
        self.on_request = self.metrics.on_request
        self.is_public = settings.metrics == "public"

    # --- metrics ------------------------------------------------------------------------------------------

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page that a scrape gets, and its content type."""
        exposition = await asyncio.to_thread(importlib.import_module, "vai.telemetry.exposition")
        levels = await self._levels()
        page: tuple[bytes, str] = exposition.page_of(self.metrics, levels, version("vai-engine"), accept)
        return page

    async def _levels(self) -> Levels:
        at_work = self._engine.steps_at_work + (0 if self._temporal is None else self._temporal.steps_at_work)
        try:
            standing = await self._standing()
        except StoreUnavailable:
            standing = None
        return Levels(
            runs_held=self._engine.runs_held,
            steps_at_work=at_work,
            leases_lost=self._engine.leases_lost,
            runs_lost=self._engine.runs_lost,
            listeners=self._hub.listener_count,
            standing=standing,
        )

    async def _standing(self) -> Standing:
        try:
            async with asyncio.timeout(_ANSWERS_SECONDS):
                return await self._store.standing(served_here(self._settings))
        except TimeoutError as error:
            raise StoreUnavailable(f"The database has not answered for {_ANSWERS_SECONDS:g} s.") from error

    # --- health -------------------------------------------------------------------------------------------

    async def health(self, deep: bool) -> Mapping[str, Any]:
        """{"status": "ok"}, or the state of every part; the whole is as bad as the worst of them."""
        if not deep:
            return {"status": "ok"}
        database = await self._database()
        parts = {"database": database, "streams": {"status": "ok", "listeners": self._hub.listener_count}}
        if self._settings.engine:
            parts["engine"] = self._own_engine()
        if self._temporal is not None:
            parts["temporal"] = await self._on_temporal(self._temporal)
        if database["status"] != "failing":
            parts |= await self._shared()
        found = {part["status"] for part in parts.values()}
        return {"status": next((s for s in ("failing", "degraded") if s in found), "ok"), **parts}

    async def _database(self) -> Part:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_ANSWERS_SECONDS):
                described = await self._store.check()
        except (StoreUnavailable, TimeoutError) as reason:
            detail = str(reason) or f"The database has not answered for {_ANSWERS_SECONDS:g} s."
            return {"status": "failing", "detail": detail, "since": _text(self._store.outage_since)}
        if (since := self._store.outage_since) is not None:
            # It reads, and has room for what is small: the disk is full.
            return {"status": "failing", "detail": self._store.outage_reason, "since": _text(since)}
        latency = round((time.perf_counter() - began) * 1000, 2)
        # Without notifications other processes' commits are found by looking, a little later.
        status = "degraded" if described.get("listening") is False else "ok"
        return {"status": status, **described, "latencyMs": latency}

    def _own_engine(self) -> Part:
        engine, lease_ms = self._engine, self._settings.lease_seconds * 1000
        renewed = engine.renewed_at
        is_late = renewed is None or time.time_ns() / 1e6 - renewed > lease_ms
        return {
            "status": "degraded" if is_late or engine.is_draining else "ok",
            "runsHeld": engine.runs_held,
            "stepsAtWork": engine.steps_at_work,
            "draining": engine.is_draining,
            "renewedAt": _text(renewed),
            "leasesLost": engine.leases_lost,
        }

    async def _on_temporal(self, temporal: OnTemporal) -> Part:
        found = await temporal.check()
        return {"status": "ok" if found["reachable"] else "degraded", **found}

    async def _shared(self) -> dict[str, Part]:
        """What all processes have in common."""
        try:
            standing = await self._standing()
        except StoreUnavailable as reason:
            return {"queue": {"status": "degraded", "detail": str(reason)}}
        return {"queue": _queue(standing), "leases": _leases(standing)}


def _queue(standing: Standing) -> Part:
    since = standing.waiting_since
    age = 0.0 if since is None else max(0, standing.now - since) / 1000
    status = "degraded" if age > WAITS_TOO_LONG_SECONDS else "ok"
    return {"status": status, "waiting": standing.waiting, "ageSeconds": age}


def _leases(standing: Standing) -> Part:
    live = sum(engine.is_live for engine in standing.engines)
    # Dead engines with runs are found by the next claim of one that lives.
    left = sum(engine.runs_held for engine in standing.engines if not engine.is_live)
    return {
        "status": "degraded" if left and not live else "ok",
        "liveEngines": live,
        "deadEngines": len(standing.engines) - live,
        "runsOfDeadEngines": left,
    }


def _text(at: Instant | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
