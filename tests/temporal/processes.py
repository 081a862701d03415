"""Workers as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.engine.conftest import ACTIONS
from vai.temporal import TemporalSettings


def environment(settings: TemporalSettings) -> Mapping[str, str]:
    """The settings as every process of a deployment has them."""
    return {
        "VAI_DAG_ENGINE": "temporal",
        "VAI_TEMPORAL_ADDRESS": settings.address,
        "VAI_TEMPORAL_TASK_QUEUE": settings.task_queue,
        "VAI_TEMPORAL_HEARTBEAT_SECONDS": f"{settings.heartbeat_seconds:g}",
        "VAI_WORKER_LABELS": ",".join(settings.labels),
        "VAI_WORKER_KINDS": ",".join(settings.kinds),
        "VAI_DRAIN_SECONDS": f"{settings.drain_seconds:g}",
    }


@contextlib.asynccontextmanager
async def workers(
    folder: Path,
    settings: TemporalSettings,
    count: int = 1,
    *,
    database_url: str | None = None,
    actions: Sequence[str] = (ACTIONS,),
) -> AsyncIterator[Sequence[asyncio.subprocess.Process]]:
    """`vai worker --temporal`, so many times, by default on the file that the test's worlds share."""
    command = [str(Path(sys.executable).with_name("vai")), "worker", "--temporal"]
    for source in actions:
        command += ["--actions", source]
    command += ["--data-dir", str(folder / "worker"), "--database-url"]
    command.append(database_url or f"sqlite:///{folder / 'vai.db'}")
    variables = {**os.environ, **environment(settings)}
    with (folder / "workers.log").open("ab") as log:
        started = [
            await asyncio.create_subprocess_exec(*command, env=variables, stdout=log, stderr=log) for _ in range(count)
        ]
    try:
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()
