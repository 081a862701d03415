"""How to reach the Temporal server, and what its library says meanwhile."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from vai.temporal.messages import CONVERTER

_SELDOM_SECONDS = 60.0
_START = "Start it, or mend VAI_TEMPORAL_ADDRESS and VAI_TEMPORAL_TLS; dag runs wait meanwhile."


@dataclass(frozen=True)
class TemporalSettings:
    """Where the server is and what is asked of it. Times in seconds."""

    address: str
    namespace: str = "default"
    task_queue: str = "vai"
    tls: bool = False
    tls_ca: Path | None = None  # of the server's certificate; None: the system's
    tls_cert: Path | None = None
    tls_key: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    labels: tuple[str, ...] = ()  # of this worker
    kinds: tuple[str, ...] = ()  # of the steps that this worker executes; none: all that it can
    heartbeat_seconds: float = 10.0  # a worker that is silent for so long is taken for dead
    drain_seconds: float = 120.0  # what running steps are given when a worker is stopped
    sweep_seconds: float = 5.0  # between looks for runs whose start or change did not get through
    drain_events: int = 20_000  # length of a history from which on it is continued as new


def tls_of(settings: TemporalSettings) -> TLSConfig | bool:
    """The TLS of the connection. Raises OSError for a file that cannot be read."""
    files = (settings.tls_ca, settings.tls_cert, settings.tls_key)
    if not any(files):
        return settings.tls
    ca, cert, key = (None if file is None else file.read_bytes() for file in files)
    return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=key)


async def connect(settings: TemporalSettings, *, lazy: bool) -> Client:
    """A client. `lazy`: it connects at its first call; else raises RuntimeError when the server does not answer."""
    return await Client.connect(
        settings.address,
        namespace=settings.namespace,
        api_key=settings.api_key,
        tls=tls_of(settings),
        data_converter=CONVERTER,
        lazy=lazy,
        runtime=_runtime(),
    )


class Unusable(Exception):
    """The server cannot be worked with: why, and what to do, each as a sentence."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


async def server_version(settings: TemporalSettings, timeout_seconds: float) -> str:
    """The version of the server, asked with our credentials for our namespace. Raises Unusable."""
    limit = timedelta(seconds=timeout_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            service = (await connect(settings, lazy=False)).workflow_service
            found = await service.get_system_info(GetSystemInfoRequest(), timeout=limit)
            await service.describe_namespace(DescribeNamespaceRequest(namespace=settings.namespace), timeout=limit)
    except OSError as error:  # also its TimeoutError
        if isinstance(error, TimeoutError):
            raise Unusable(f"{settings.address} does not answer for {timeout_seconds:g} s.", _START) from error
        raise Unusable(f"A certificate cannot be read: {error}.", "Mend VAI_TEMPORAL_TLS_….") from error
    except RPCError as error:
        raise _refused(settings, error) from error
    except (RuntimeError, ValueError) as error:  # of the connection itself: address, name, certificate
        raise Unusable(f"{settings.address} does not answer as Temporal does: {error}.", _START) from error
    return found.server_version


def _refused(settings: TemporalSettings, error: RPCError) -> Unusable:
    if error.status is RPCStatusCode.NOT_FOUND:
        advice = f"temporal operator namespace create {settings.namespace}, or mend VAI_TEMPORAL_NAMESPACE."
        return Unusable(f"{settings.address} has no namespace {settings.namespace!r}.", advice)
    if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
        advice = "Mend VAI_TEMPORAL_API_KEY or the client's certificate, or let them into the namespace."
        return Unusable(f"{settings.address} does not let us in: {error.message}.", advice)
    return Unusable(f"{settings.address} answers {error.status.name}: {error.message}.", "Look at Temporal's log.")


class Seldom(logging.Filter):
    """Lets each source of lines say something once a minute: the library tells of every attempt of every poll."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True for a line that is to be written."""
        source = str(getattr(getattr(record, "temporal_log", None), "target", ""))
        now = time.monotonic()
        if source in self._told_at and now - self._told_at[source] < _SELDOM_SECONDS:
            return False
        self._told_at[source] = now
        return True


@functools.cache
def _runtime() -> Runtime:
    """One a process. By itself the library writes to stderr, coloured, whatever the log's format is."""
    logger = logging.getLogger("temporalio.core")
    logger.addFilter(Seldom())
    forwarding = LogForwardingConfig(logger, append_target_to_name=False, prepend_target_on_message=False)
    lines = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    return Runtime(telemetry=TelemetryConfig(logging=lines))
