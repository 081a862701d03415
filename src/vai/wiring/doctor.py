"""`vai doctor`: looks at a deployment from outside its processes, and says what is wrong and what to do about it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import httpx

from vai.actions import BadActions, registry
from vai.connections import BadMasterKey, fingerprint_of
from vai.ports import Standing, StoreUnavailable
from vai.settings import Settings
from vai.storage import open_database
from vai.storage.inspection import Inspection, inspect
from vai.storage.migrate import KNOWN
from vai.telemetry import are_wanted
from vai.wiring.dag import served_here, temporal_settings
from vai.wiring.doctor_artifacts import look_at_artifacts
from vai.wiring.faults import CannotServe
from vai.wiring.finding import NOTE, OK, WRONG, Finding
from vai.wiring.system import clock, master_keys

_EXTRAS = {"data": ("dlt", "duckdb"), "otel": ("opentelemetry.sdk",), "temporal": ("temporalio",)}
_GIB = 1 << 30
_WAITS_TOO_LONG_SECONDS = 60
_ASK_SECONDS = 3.0


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one after the other. Changes nothing. Blocks."""
    yield from _data_folder(settings)
    yield _master_key(settings)
    yield _disk(settings)
    inspection = None
    try:
        inspection = inspect(open_database(settings.database), clock, served_here(settings))
    except (StoreUnavailable, ValueError) as reason:
        is_new = " yet. " in str(reason)
        advice = "Start it with vai serve." if is_new else "Nothing can run until this is mended."
        yield Finding("database", NOTE if is_new else WRONG, str(reason), advice)
    else:
        yield from _database(settings, inspection)
    yield look_at_artifacts(settings, inspection)
    yield _extras(settings)
    if settings.dag_engine == "temporal":
        yield _temporal(settings)
    yield from _server(settings)


# --- the machine -------------------------------------------------------------------------------------------


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder, key = settings.data_dir, settings.data_dir / "admin.key"
    if folder.exists() and not folder.is_dir():
        yield Finding("data folder", WRONG, f"{folder} is not a folder.", "Name another one with --data-dir.")
        return
    if not folder.is_dir():
        yield Finding("data folder", NOTE, f"{folder} is not there.", "Name it with --data-dir, or start a server.")
        return
    yield Finding("data folder", OK, str(folder.absolute()))
    if not key.exists():
        yield Finding("admin key", NOTE, f"{key} is not there.", "The next start of a server makes it.")
    elif not key.is_file():
        yield Finding(
            "admin key", WRONG, f"{key} is not a file.", "Move it away; the next start of a server makes one."
        )
    elif key.stat().st_size == 0:
        yield Finding("admin key", WRONG, f"{key} is empty.", "Remove it; the next start of a server makes a new one.")
    elif stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Finding("admin key", WRONG, f"Others than its owner may read {key}.", f"chmod 600 {key}")
    else:
        yield Finding("admin key", OK, f"{key} is its owner's alone.")


def _master_key(settings: Settings) -> Finding:
    try:
        keys = master_keys(settings)
        known = len(keys.known())
    except (CannotServe, BadMasterKey) as reason:
        return Finding("master key", WRONG, str(reason), "Credentials of connections cannot be opened until then.")
    if not known:
        return Finding("master key", OK, f"{keys.file} is made when the first credentials are stored.")
    if not settings.secret_key and stat.S_IMODE(keys.file.stat().st_mode) & 0o077:
        return Finding("master key", WRONG, f"Others than its owner may read {keys.file}.", f"chmod 600 {keys.file}")
    found = f"{known} in {keys.place}, the newest is {fingerprint_of(keys.newest())}."
    return Finding("master key", OK, found)


def _disk(settings: Settings) -> Finding:
    folder = next(
        path for path in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB are free where {folder} is."
    if free < _GIB // 10:
        return Finding("disk", WRONG, found, "Free some space: what cannot be written cannot run.")
    if free < _GIB:
        return Finding("disk", NOTE, found, "Free some space soon.")
    return Finding("disk", OK, found)


def _extras(settings: Settings) -> Finding:
    has = [name for name, modules in _EXTRAS.items() if all(_is_installed(module) for module in modules)]
    lacks = [name for name in _EXTRAS if name not in has]
    found = f"Installed: {', '.join(has) or 'none'}; not installed: {', '.join(lacks) or 'none'}."
    if "temporal" in lacks and settings.dag_engine == "temporal":
        return Finding("extras", WRONG, found, "VAI_DAG_ENGINE=temporal needs: pip install 'vai-engine[temporal]'")
    if "otel" in lacks and are_wanted(os.environ):
        return Finding("extras", NOTE, found, "No traces are sent without: pip install 'vai-engine[otel]'")
    return Finding("extras", OK, found)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its package
        return False


# --- the database ------------------------------------------------------------------------------------------


def _database(settings: Settings, found: Inspection) -> Iterator[Finding]:
    standing = found.standing
    if found.revision is None or standing is None:
        yield Finding("database", NOTE, "It answers, and holds no tables.", "Start a server, which makes them.")
        return
    yield Finding("database", OK, f"It answers; {sum(standing.runs.values())} runs.")
    yield _schema(found)
    yield _clock(settings, found)
    yield from _engines(standing)
    yield _waiting(standing)
    yield _schedules(standing)
    yield _kinds(settings, found)


def _schema(found: Inspection) -> Finding:
    if found.revision == found.newest:
        return Finding("schema", OK, f"{found.revision}, the one of this version.")
    if found.revision in KNOWN:
        return Finding(
            "schema", NOTE, f"{found.revision}; this version has {found.newest}.", "The next start migrates."
        )
    return Finding("schema", NOTE, f"{found.revision}, of a newer version.", "Works with this one; install the newer.")


def _clock(settings: Settings, found: Inspection) -> Finding:
    seconds = found.skew_ms / 1000
    text = f"This machine's clock is {abs(seconds):.2f} s {'ahead of' if seconds > 0 else 'behind'} the database's."
    if abs(seconds) >= settings.lease_seconds:
        return Finding("clock", WRONG, text, "Timers fire wrongly: let both follow a time server (NTP).")
    if abs(seconds) >= 1:
        return Finding("clock", NOTE, text, "Let both follow a time server (NTP).")
    return Finding("clock", OK, text)


def _engines(standing: Standing) -> Iterator[Finding]:
    live = [engine for engine in standing.engines if engine.is_live]
    dead = [engine for engine in standing.engines if not engine.is_live]
    hosts = ", ".join(sorted({f"{engine.host} (process {engine.pid})" for engine in live}))
    if live:
        yield Finding("engines", OK, f"{len(live)} live: {hosts}.")
    else:
        yield Finding("engines", NOTE, "None is running.", "Runs wait until vai serve or vai worker is started.")
    left = sum(engine.runs_held for engine in dead)
    if left and not live:
        found = f"{left} runs are held by {len(dead)} engines that are dead."
        yield Finding("leases", WRONG, found, "Start vai serve or vai worker, which takes them over.")
    elif dead:
        found = f"{len(dead)} engines are dead and held {left} runs."
        yield Finding("leases", NOTE, found, "The next look of a live engine takes them over.")
    else:
        yield Finding("leases", OK, f"{sum(engine.runs_held for engine in live)} runs are held.")


def _waiting(standing: Standing) -> Finding:
    if standing.waiting_since is None:
        return Finding("waiting runs", OK, "None.")
    seconds = (standing.now - standing.waiting_since) / 1000
    found = f"{standing.waiting} could be taken; {standing.longest_waiting} since {max(0, seconds):.0f} s."
    if seconds < _WAITS_TOO_LONG_SECONDS:
        return Finding("waiting runs", OK, found)
    live = sum(engine.is_live for engine in standing.engines)
    advice = "Engines cannot keep up: start more." if live else "No engine is running: start vai serve or vai worker."
    return Finding("waiting runs", WRONG, found, advice)


def _schedules(standing: Standing) -> Finding:
    if standing.overdue_since is None:
        return Finding("schedules", OK, "None is late.")
    seconds = (standing.now - standing.overdue_since) / 1000
    found = f"{standing.overdue} are late, the first of them by {seconds:.0f} s."
    return Finding("schedules", WRONG, found, "No engine looks for them, or it cannot keep up: see engines above.")


def _kinds(settings: Settings, found: Inspection) -> Finding:
    try:
        actions = registry(settings.actions, data_dir=settings.data_dir)
    except (BadActions, OSError) as reason:
        return Finding("kinds", WRONG, str(reason), "Mend it, or leave it out of --actions.")
    lacks: dict[str, list[str]] = {}
    for automation, kind in found.kinds:
        action = actions.get(kind)
        if action is None or not action.available:
            extra = "" if action is None or action.extra is None else f" (vai-engine[{action.extra}])"
            lacks.setdefault(kind + extra, []).append(automation)
    if not lacks:
        return Finding("kinds", OK, "All that active versions use are here.")
    text = "; ".join(f"{kind} for {', '.join(sorted(set(names))[:3])}" for kind, names in sorted(lacks.items()))
    advice = "Give --actions (VAI_ACTIONS) as the servers have it, or install the extra."
    return Finding("kinds", NOTE if not settings.actions else WRONG, f"Not here: {text}.", advice)


# --- what else should answer -------------------------------------------------------------------------------


def _temporal(settings: Settings) -> Finding:
    """Ask it something as a worker would: it answers, lets us in, and has the namespace."""
    try:
        from vai.temporal import Unusable, server_version  # noqa: PLC0415
    except ImportError:
        return Finding("temporal", NOTE, f"{settings.temporal_address} was not asked.", "Install the extra first.")
    began = time.monotonic()
    try:
        version = asyncio.run(server_version(temporal_settings(settings), _ASK_SECONDS))
    except Unusable as reason:
        return Finding("temporal", WRONG, str(reason), reason.advice)
    found = f"{settings.temporal_address} ({version}) has the namespace {settings.temporal_namespace}, and answers in"
    return Finding("temporal", OK, f"{found} {(time.monotonic() - began) * 1000:.0f} ms.")


def _server(settings: Settings) -> Iterator[Finding]:
    told = settings.data_dir / "server.json"
    try:
        url = str(json.loads(told.read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        yield Finding("server", NOTE, "None runs on this data folder.", "vai serve starts one, if one is to run here.")
        return
    try:
        answer = httpx.get(f"{url}/health", params={"deep": True}, timeout=_ASK_SECONDS, trust_env=False)
        found = answer.json()
        if not isinstance(found, dict) or "status" not in found:
            raise ValueError("it is something else that answers")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        advice = f"If it does not run any more, remove {told}; else look at its log."
        yield Finding("server", WRONG, f"{url} does not answer as vai does: {type(error).__name__}.", advice)
        return
    if not _accepts_key(settings, url):
        advice = "Start the server again, which lets it in; if it was revoked, remove the file first."
        yield Finding("admin key", WRONG, f"{url} does not accept {settings.data_dir / 'admin.key'}.", advice)
    bad = ", ".join(_part(name, part) for name, part in found.items() if _is_bad(part))
    level = {"ok": OK, "degraded": NOTE}.get(found.get("status", ""), WRONG)
    text = f"{url} is {found.get('status')}{': ' + bad if bad else ''}."
    yield Finding("server", level, text, "" if level == OK else f"GET {url}/health?deep=true tells more.")


def _accepts_key(settings: Settings, url: str) -> bool:
    """False when the server refuses the data folder's key, with which the command line would come."""
    try:
        headers = {"X-API-Key": (settings.data_dir / "admin.key").read_text().strip()}
        answer = httpx.get(f"{url}/api/v1/auth/me", headers=headers, timeout=_ASK_SECONDS, trust_env=False)
    except (OSError, ValueError, httpx.HTTPError):
        return True  # cannot tell; a missing file, and a server that does not answer, are told of elsewhere
    return answer.status_code != 401


def _is_bad(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("status") != "ok"


def _part(name: str, part: Mapping[str, Any]) -> str:
    return f"{name} is {part.get('status')}{' (' + str(part['detail']) + ')' if part.get('detail') else ''}"
