"""A run as its events tell it: a fold over the events of the stream, one line a step."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vai.cli.output import duration, parse_time
from vai.cli.rows import counted, note_of, rows_of

Event = Mapping[str, Any]
"""`{seq, type, runId, attempt, stepKey, occurredAt, data}`, as in the stream; times as text or as milliseconds."""

FINAL = frozenset({"completed", "failed", "cancelled"})
_ENDED = FINAL | {"skipped"}


@dataclass
class StepLine:
    """What one line says of a step. `status` is the API's, or `retrying` while it waits for its next try."""

    key: str
    name: str = ""
    status: str = "pending"
    started_at: float | None = None
    ended_at: float | None = None
    tries: int = 0
    rows: int | None = None
    note: str = ""
    error: str = ""
    due_at: float | None = None  # when it is tried again, or its wait is over
    moved: int = 0  # number of the event that moved it last

    @property
    def title(self) -> str:
        """Its name, else its key."""
        return self.name or self.key

    def seconds(self, now: float) -> float | None:
        """How long it took, or has been at work until now."""
        if self.started_at is None:
            return None
        return max((now if self.ended_at is None else self.ended_at) - self.started_at, 0.0)

    def remark(self, now: float) -> str:
        """What else is to be said: why it failed, what it waits for, how far it is."""
        if self.error:
            return f"{self.error} ({self._wait(now)})" if self.status == "retrying" else self.error
        return f"wakes {self._wait(now)}" if self.due_at is not None and self.status == "running" else self.note

    def _wait(self, now: float) -> str:
        seconds = round((self.due_at or now) - now)
        if seconds < 1:
            return "in under 1 s" if (self.due_at or now) > now else "now"
        return f"in {seconds} s" if seconds < 60 else f"in {duration(seconds)}"


@dataclass
class RunView:
    """A run with its steps as the events so far tell it. `steps` is in the order of the definition, if known."""

    run_id: str = ""
    status: str = "pending"
    attempt: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    seq: int = 0
    cancel_requested: bool = False
    steps: dict[str, StepLine] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)  # of each forEach step that has begun
    _unfinished: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of_steps(cls, steps: Iterable[Mapping[str, Any]]) -> "RunView":
        """A run that has not begun, with the steps of a config or of the API's answer."""
        lines = {step["key"]: StepLine(step["key"], step.get("name") or "") for step in steps}
        return cls(steps=lines)

    @property
    def is_final(self) -> bool:
        """True when the run has ended."""
        return self.status in FINAL

    def seconds(self, now: float) -> float | None:
        """How long the run took, or has been at work until now."""
        if self.started_at is None:
            return None
        return max((now if self.ended_at is None else self.ended_at) - self.started_at, 0.0)

    def apply(self, event: Event) -> None:
        """Take in the next event. One that was seen before changes nothing."""
        if event["seq"] <= self.seq:
            return
        self.seq = event["seq"]
        self.run_id = event["runId"]
        at, data = time_of(event), event.get("data") or {}
        key = event.get("stepKey")
        if key is None:
            handler = _RUN.get(event["type"])
            if handler is not None:
                handler(self, at, data)
            return
        if event["type"] == "step.expanded":
            self._expand(key, data["count"])
        step = self.steps.setdefault(key, StepLine(key))
        change = _STEP.get(event["type"])
        if change is not None:
            step.moved = self.seq
            change(step, at, data)
            if self.started_at is None:
                self.started_at = step.started_at
            self._count_elements(key)

    def _expand(self, key: str, count: int) -> None:
        """A line for each element of a forEach step, behind the step's own."""
        self.elements[key] = [f"{key}[{i}]" for i in range(count)]
        known, name = self.steps, self.steps[key].name if key in self.steps else ""
        self.steps = {}
        for other, line in known.items():
            self.steps[other] = line
            if other == key:
                for i, element in enumerate(self.elements[key]):
                    new = StepLine(element, f"{name}[{i}]" if name else "")
                    self.steps[element] = known.get(element) or new
        self._unfinished[key] = {each for each in self.elements[key] if self.steps[each].status not in _ENDED}

    def _count_elements(self, key: str) -> None:
        parent = key.partition("[")[0]
        unfinished = self._unfinished.get(parent)
        if unfinished is None or key == parent:
            return
        if self.steps[key].status in _ENDED:
            unfinished.discard(key)
        count = len(self.elements[parent])
        if self.steps[parent].status == "running":
            self.steps[parent].note = f"{count - len(unfinished)} of {count}"


def time_of(event: Event) -> float:
    """When it happened, in seconds since the epoch."""
    at = event["occurredAt"]
    return at / 1000 if isinstance(at, int | float) else parse_time(at) or 0.0


# --- events of the run -------------------------------------------------------------------------------------


def _run_status(status: str) -> Callable[[RunView, float, Event], None]:
    def change(view: RunView, at: float, data: Event) -> None:
        view.status = status
        if status in FINAL:
            view.ended_at = at
            view.error = (data.get("error") or {}).get("message", "")

    return change


def _cancel_requested(view: RunView, at: float, data: Event) -> None:
    view.cancel_requested = True


def _retried(view: RunView, at: float, data: Event) -> None:
    view.status, view.ended_at, view.error, view.cancel_requested = "pending", None, "", False
    view.attempt = data["attempt"]
    rerun = set(data["rerun"])
    for key in data["rerun"]:
        elements = view.elements.get(key, [])
        if rerun.isdisjoint(elements):  # they are found anew
            for element in elements:
                view.steps.pop(element, None)
        known = view.steps.get(key)
        view.steps[key] = StepLine(key, known.name if known else "")


_RUN: dict[str, Callable[[RunView, float, Event], None]] = {
    "run.started": _run_status("running"),
    "run.resumed": _run_status("running"),
    "run.awaiting_approval": _run_status("awaiting_approval"),
    "run.completed": _run_status("completed"),
    "run.failed": _run_status("failed"),
    "run.cancelled": _run_status("cancelled"),
    "run.cancel_requested": _cancel_requested,
    "run.retried": _retried,
}


# --- events of a step --------------------------------------------------------------------------------------


def _started(step: StepLine, at: float, data: Event) -> None:
    step.status, step.tries, step.error, step.due_at = "running", data.get("tryNumber", 1), "", None
    step.started_at = at if step.started_at is None else step.started_at
    step.note = f"try {step.tries}" if step.tries > 1 else ""


def _expanded(step: StepLine, at: float, data: Event) -> None:
    step.status, step.error, step.note = "running", "", counted(data["count"], "element")
    step.started_at = at


def _ended(status: str) -> Callable[[StepLine, float, Event], None]:
    def change(step: StepLine, at: float, data: Event) -> None:
        step.status, step.ended_at, step.due_at, step.note = status, at, None, ""
        step.error = (data.get("error") or {}).get("message", "")
        if status == "completed":
            step.rows = _first(rows_of((data.get("result") or {}).get("value")), step.rows)
        elif not step.rows:
            step.rows = None
        if status == "skipped":
            step.note = str(data.get("reason", "")).replace("_", " ")

    return change


def _retry_scheduled(step: StepLine, at: float, data: Event) -> None:
    step.status, step.error = "retrying", (data.get("error") or {}).get("message", "")
    step.due_at = _instant(data.get("nextAttemptAt"))


def _interrupted(step: StepLine, at: float, data: Event) -> None:
    step.status, step.note = "retrying", str(data.get("reason", "engine_lost")).replace("_", " ")


def _waiting(step: StepLine, at: float, data: Event) -> None:
    step.due_at = _instant(data.get("until"))


def _awaiting(step: StepLine, at: float, data: Event) -> None:
    step.status, step.note = "awaiting_approval", f"decision {str(data['decisionId'])[-8:]} is open"


def _decided(step: StepLine, at: float, data: Event) -> None:
    by = data.get("byName") or data.get("by")
    step.note = f"{data['outcome']} by {by}" if by else str(data["outcome"])


def _child(step: StepLine, at: float, data: Event) -> None:
    step.note = f"run {str(data.get('childRunId', ''))[-8:]}"


def _progress(step: StepLine, at: float, data: Event) -> None:
    progress = data.get("progress") or {}
    step.rows = _first(rows_of(progress), step.rows)
    step.note = note_of(progress)


def _first(found: int | None, known: int | None) -> int | None:
    return known if found is None else found


def _instant(value: Any) -> float | None:
    return value / 1000 if isinstance(value, int | float) else parse_time(value)


_STEP: dict[str, Callable[[StepLine, float, Event], None]] = {
    "step.started": _started,
    "step.expanded": _expanded,
    "step.completed": _ended("completed"),
    "step.failed": _ended("failed"),
    "step.skipped": _ended("skipped"),
    "step.cancelled": _ended("cancelled"),
    "step.retry_scheduled": _retry_scheduled,
    "step.interrupted": _interrupted,
    "step.waiting": _waiting,
    "step.child_started": _child,
    "step.awaiting_approval": _awaiting,
    "step.decided": _decided,
    "step.progress": _progress,
}
