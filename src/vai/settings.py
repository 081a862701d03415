"""What can be set: by command line, by environment, else by these defaults. Read once, at the start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

_CHOICES = {
    "dag_engine": ("embedded", "temporal"),
    "log_level": ("debug", "info", "warning", "error", "critical"),
    "log_format": ("text", "json"),
    "metrics": ("local", "public"),
}
_DAY = 86_400
_RANGES = {  # the least and the most
    "port": (0, 65_535),
    "metrics_port": (0, 65_535),
    "lease_seconds": (0.1, _DAY),
    "renew_seconds": (0.01, _DAY / 2),
    "poll_seconds": (0.01, _DAY),
    "drain_seconds": (0, 7 * _DAY),
    "heartbeat_seconds": (0.1, _DAY),
    "temporal_heartbeat_seconds": (1, _DAY),
    "retention_days": (0, 36_500),
    "artifacts_per_step": (0, 10_000),
    "artifacts_step_bytes": (0, 1 << 50),
    "max_processes": (1, 10_000),
}
_PARSERS: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "Path": Path}


class BadSetting(ValueError):
    """A setting whose value does not do; the message names it and says what would."""


@dataclass(frozen=True)
class Settings:
    """All settings of a process. Times in seconds. The environment's name of `data_dir` is `VAI_DATA_DIR`."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path(".vai")
    database_url: str | None = None  # None: SQLite in the data folder
    secret_key: str | None = field(default=None, repr=False)  # None: the file secret.key in the data folder
    artifacts_url: str | None = field(default=None, repr=False)  # None: the folder artifacts in the data folder
    artifacts_per_step: int = 100  # how many files a step may attach
    artifacts_step_bytes: int = 1 << 30  # and how large they may be together
    actions: tuple[str, ...] = ()
    engine: bool = True  # False: this process serves the API alone
    lease_seconds: float = 15.0
    renew_seconds: float = 5.0
    poll_seconds: float = 1.0
    drain_seconds: float = 120.0
    heartbeat_seconds: float = 15.0  # between comments on an event stream
    retention_days: float = 0.0  # final runs are removed after so many days; 0: they are kept
    dag_engine: str = "embedded"  # what drives runs of orchestratorType dag: embedded or temporal
    temporal_worker: bool = False  # True: this process drives runs and executes steps for Temporal
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "vai"
    temporal_tls: bool = False
    temporal_tls_ca: Path | None = None  # None: the system's
    temporal_tls_cert: Path | None = None
    temporal_tls_key: Path | None = None
    temporal_api_key: str | None = field(default=None, repr=False)
    temporal_heartbeat_seconds: float = 10.0  # a worker that is silent for so long is taken for dead
    worker_labels: tuple[str, ...] = ()  # which steps with `runsOn` this process executes
    worker_kinds: tuple[str, ...] = ()  # the only kinds of steps that this worker of Temporal executes
    max_processes: int = field(default_factory=lambda: os.cpu_count() or 2)
    log_level: str = "info"
    log_format: str = "text"  # text or json
    metrics_port: int | None = None  # where a worker serves /metrics and /health, on `host`; None: nowhere
    metrics: str = "local"  # who reads /metrics without a key: local (this machine) or public (everyone)

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'vai.db'}"


def settings_from(environment: Mapping[str, str], **given: Any) -> Settings:
    """Settings from what was given (None means not given), else the environment, else the defaults.

    Raises BadSetting.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for setting in fields(Settings):
        text = environment.get(f"VAI_{setting.name.upper()}")
        if text and setting.name not in values:
            values[setting.name] = _parse(setting.name, str(setting.type), text)
    settings = Settings(**values)
    for name, known in _CHOICES.items():
        value = getattr(settings, name)
        if value.lower() not in known:
            raise BadSetting(f"VAI_{name.upper()} must be one of {', '.join(known)}, not {value!r}.")
    _check_ranges(settings)
    return replace(settings, **{name: getattr(settings, name).lower() for name in _CHOICES})


def _check_ranges(settings: Settings) -> None:
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        if value is not None and not least <= value <= most:  # nor is `nan`
            raise BadSetting(f"VAI_{name.upper()} must be a number from {least} to {most}, not {value}.")
    lease, renew = settings.lease_seconds, settings.renew_seconds
    if lease < 2 * renew:
        raise BadSetting(
            f"VAI_LEASE_SECONDS ({lease:g}) must be at least twice VAI_RENEW_SECONDS ({renew:g}), or one renewal that "
            f"comes late loses the lease. Set VAI_LEASE_SECONDS to {2 * renew:g} or more, or VAI_RENEW_SECONDS to "
            f"{lease / 2:g} or less."
        )


def _parse(name: str, kind: str, text: str) -> Any:
    if name in ("worker_labels", "worker_kinds"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind.startswith("tuple"):
        return tuple(part for part in text.split(os.pathsep) if part)
    if kind == "bool":
        return _parse_bool(name, text)
    try:
        return _PARSERS.get(kind.removesuffix(" | None"), str)(text)
    except ValueError as error:
        what = "a whole number" if kind.startswith("int") else "a number"
        raise BadSetting(f"VAI_{name.upper()} must be {what}, not {text!r}.") from error


def _parse_bool(name: str, text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise BadSetting(f"VAI_{name.upper()} must be true or false, not {text!r}.")
    return known[text.lower()]
