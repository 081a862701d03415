"""dlt's own counting, told as progress: its phase, rows by table, and jobs done while loading."""

import time
from typing import Any

from dlt.common.runtime.collector_base import Collector

from vai.actions.child_context import ChildContext

PHASES = {"Extract": "extracting", "Normalize": "normalizing", "Load": "loading"}
INTERVAL = 0.25
OWN_NAMES = ("_dlt_", "Resources", "Files", "Items")


class Counter(Collector):
    """A dlt collector."""

    def __init__(self, context: ChildContext) -> None:
        self._context = context
        self._phase = "starting"
        self._tables: dict[str, int] = {}
        self._done, self._total = 0, 0
        self._told_at = 0.0

    def update(self, name: str, inc: int = 1, *args: Any, **more: Any) -> None:
        """dlt counted `inc` more of `name`."""
        total = more.get("total") or (args[0] if args else None)
        if name == "Jobs":
            self._done += inc
            self._total = max(total or 0, self._total, self._done)  # merging adds jobs as it goes
        elif self._phase == "extracting" and not name.startswith(OWN_NAMES):
            self._tables[name] = self._tables.get(name, 0) + inc
        self._tell(name)

    def _start(self, step: str) -> None:
        phase = PHASES.get(step.partition(" ")[0], self._phase)
        if phase != self._phase:
            self._phase, self._told_at = phase, 0.0
            self._tell("")

    def _stop(self) -> None:
        self._told_at = 0.0
        self._tell("")

    def _tell(self, name: str) -> None:
        now = time.monotonic()
        if now - self._told_at < INTERVAL:
            return
        self._told_at = now
        fields: dict[str, Any] = {
            "phase": self._phase,
            "rows": sum(self._tables.values()),
            "tables": dict(self._tables),
        }
        if name in self._tables:
            fields["resource"] = name
        if self._phase == "loading" and self._total:
            fields |= {"done": self._done, "total": self._total}
        self._context.progress(**fields)
