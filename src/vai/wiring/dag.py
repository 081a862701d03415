"""Which system drives `dag` runs: the embedded engines, or Temporal where the settings say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vai.ports import ORCHESTRATORS, Actions, Clock, Store
from vai.runs import Door
from vai.settings import Settings
from vai.wiring.faults import CannotServe

if TYPE_CHECKING:
    from vai.temporal import Dispatcher, TemporalSettings, TemporalWorker


@dataclass(frozen=True)
class OnTemporal:
    """What this process has of Temporal; `worker` is None where it only hands runs on."""

    dispatcher: Dispatcher
    worker: TemporalWorker | None

    async def start(self) -> None:
        """Begin; the server need not be there. Raises CannotServe."""
        try:
            await self.dispatcher.start()
        except OSError as error:
            raise CannotServe(f"A certificate for Temporal cannot be read: {error}.") from error
        if self.worker is not None:
            await self.worker.start()

    async def check(self) -> Mapping[str, Any]:
        """What `/health?deep=true` says of it. The service is well without it: runs wait for it."""
        return {"reachable": await self.dispatcher.check(), "address": self.dispatcher.address}

    @property
    def steps_at_work(self) -> int:
        """How many steps are executed in this process for Temporal."""
        return 0 if self.worker is None else self.worker.steps_at_work

    def hurry(self) -> None:
        """Report running steps as interrupted now."""
        if self.worker is not None:
            self.worker.hurry()

    async def stop(self) -> None:
        """Let running steps end in their time, then stop handing on. Stopping again does nothing."""
        if self.worker is not None:
            await self.worker.stop()
        await self.dispatcher.stop()


def served_here(settings: Settings) -> tuple[str, ...]:
    """The orchestrators whose runs the embedded engine drives."""
    return ("local",) if settings.dag_engine == "temporal" else ORCHESTRATORS


def on_temporal(settings: Settings, store: Store, door: Door, actions: Actions, clock: Clock) -> OnTemporal | None:
    """Temporal's part of this process, if any. Raises CannotServe without its library."""
    if settings.dag_engine != "temporal":
        return None
    try:
        from vai.temporal import Dispatcher, TemporalWorker  # noqa: PLC0415
    except ImportError as error:
        message = "VAI_DAG_ENGINE=temporal needs vai-engine[temporal]: pip install 'vai-engine[temporal]'."
        raise CannotServe(message) from error
    unknown = [kind for kind in settings.worker_kinds if actions.get(kind) is None]
    if settings.temporal_worker and unknown:
        raise CannotServe(f"VAI_WORKER_KINDS names kinds that are not known here: {', '.join(unknown)}.")
    chosen = temporal_settings(settings)
    worker = TemporalWorker(store, door, actions, clock, chosen) if settings.temporal_worker else None
    return OnTemporal(Dispatcher(store, door, clock, chosen), worker)


def temporal_settings(settings: Settings) -> TemporalSettings:
    """What Temporal's part takes of the settings. Raises ImportError without its library."""
    from vai.temporal import TemporalSettings  # noqa: PLC0415

    return TemporalSettings(
        address=settings.temporal_address,
        namespace=settings.temporal_namespace,
        task_queue=settings.temporal_task_queue,
        tls=settings.temporal_tls,
        tls_ca=settings.temporal_tls_ca,
        tls_cert=settings.temporal_tls_cert,
        tls_key=settings.temporal_tls_key,
        api_key=settings.temporal_api_key,
        labels=settings.worker_labels,
        kinds=settings.worker_kinds,
        heartbeat_seconds=settings.temporal_heartbeat_seconds,
        drain_seconds=settings.drain_seconds,
        sweep_seconds=settings.poll_seconds * 5,
    )
