"""What passes between the workflow and its activities: JSON in the workflow's history, so it is kept small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

from vai.domain import commands as c
from vai.domain.state import Instant

WORKFLOW = "vai-run"
ADVANCE = "advance"
STEP = "step"
WAKE = "wake"


def workflow_id(run_id: str) -> str:
    """The id of the workflow that drives a run, which is the run's `externalJobId`."""
    return f"vai-run-{run_id}"


def queue_of(queue: str, label: str | None = None, kind: str | None = None) -> str:
    """The task queue for steps with that label, or of that kind that not every worker does, beside `queue`."""
    return queue + (f"-{label}" if label else "") + (f"-kind-{kind}" if kind else "")


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a workflow is started with. `goes_on`: nothing of the run can be at work that it does not know of, because
    the run has not begun, or because it continues the workflow that drove the run so far."""

    run_id: str
    tenant_id: str
    automation_id: str
    heartbeat_seconds: float = 10.0
    drain_events: int = 20_000  # at this length of its history it starts nothing more and continues as new
    goes_on: bool = False


class Ref(msgspec.Struct, frozen=True, array_like=True):
    """One execution of a step: the run's attempt and the number of the try within it."""

    key: str
    attempt: int
    try_number: int


class Begin(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step that has been started and is to be executed. `label`: of the workers that may do it."""

    ref: Ref
    action_run_id: str
    kind: str
    timeout_seconds: float | None = None
    grace_seconds: float = 10.0
    label: str | None = None
    traceparent: str | None = None  # that the run was started with


class StepOrder(msgspec.Struct, frozen=True):
    """What a step's activity is told; its definition it reads for itself."""

    run_id: str
    tenant_id: str
    automation_id: str
    heartbeat_seconds: float
    begin: Begin


class Told(msgspec.Struct, frozen=True):
    """A report of the state machine on its way, named by its type."""

    type: str
    report: msgspec.Raw


class Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `advance` is asked: take in these reports; `running` is all that is at work, `room` how much more may be.

    `takes_over`: what is at work besides has lost whoever drove it, and is interrupted; nothing begins.
    """

    run_id: str
    tenant_id: str
    told: Sequence[Told] = ()
    running: Sequence[Ref] = ()
    room: int = 0
    takes_over: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the workflow is to do next. `due_at`: when to look again without being told, `due_in_ms` from now."""

    begin: Sequence[Begin] = ()
    is_part: bool = False  # there is more to begin than there was room for
    stop: bool = False  # ask what is at work to stop
    over: bool = False  # there is nothing more to drive
    due_at: Instant | None = None
    due_in_ms: int = 0


PASSED_ON = Told("PassedOn", msgspec.Raw(b"null"))
"""Not a report: the worker does not do the step's kind, and has not begun it."""

_REPORTS: dict[str, type[c.Report]] = {
    kind.__name__: kind
    for kind in (
        c.Completed,
        c.Failed,
        c.Stopped,
        c.Interrupted,
        c.Waits,
        c.AwaitsChild,
        c.AwaitsDecision,
        c.AwaitsEvent,
    )
}


def told(report: c.Report) -> Told:
    """The report as it travels."""
    return Told(type(report).__name__, msgspec.Raw(msgspec.json.encode(report)))


def report_of(message: Told) -> c.Report:
    """The report that travelled."""
    return msgspec.json.decode(message.report, type=_REPORTS[message.type])


class _Structs(EncodingPayloadConverter):
    """Structs as plain JSON, which the server's console can show; everything else as it is by default."""

    def __init__(self) -> None:
        self._others = JSONPlainPayloadConverter()

    @property
    def encoding(self) -> str:
        """See the base class."""
        return self._others.encoding

    def to_payload(self, value: Any) -> Payload | None:
        """See the base class."""
        if isinstance(value, msgspec.Struct):
            return Payload(metadata={"encoding": self.encoding.encode()}, data=msgspec.json.encode(value))
        return self._others.to_payload(value)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """See the base class."""
        if isinstance(type_hint, type) and issubclass(type_hint, msgspec.Struct):
            return msgspec.json.decode(payload.data, type=type_hint)
        return self._others.from_payload(payload, type_hint)


class _Converter(CompositePayloadConverter):
    def __init__(self) -> None:
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_Structs() if isinstance(one, JSONPlainPayloadConverter) else one for one in defaults))


CONVERTER = DataConverter(payload_converter_class=_Converter)
