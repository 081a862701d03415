"""What the HTTP room is given: the doors it calls, and what a deployment may choose of its manners."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import FastAPI, Request

from vai.access import Access
from vai.automations import Automations, Triggers
from vai.connections import Connections
from vai.events import Events
from vai.ports import Actions, Clock, Delivery, Receipt
from vai.runs import Decisions, Retention, Runs

Health = Callable[[bool], Awaitable[Mapping[str, Any]]]
"""Given whether to look deep: {"status": "ok"}, or also "degraded" or "failing", and what each part is like."""


class Metrics(Protocol):
    """What is counted of this process, for operators."""

    is_public: bool  # whoever can reach the server may read them

    def on_request(self, operation: str, status: int, seconds: float) -> None:
        """Told of every answer when it begins."""
        ...

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page that a scrape gets, and its content type."""
        ...


class Webhooks(Protocol):
    """Where deliveries to webhooks go."""

    async def receive(self, delivery: Delivery) -> Receipt:
        """Start a run, if it is to start one. Raises NotFound, BadSignature, UnreadableBody, InvalidInput."""
        ...


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything that the API asks of the rest of the system."""

    runs: Runs
    decisions: Decisions
    automations: Automations
    triggers: Triggers
    webhooks: Webhooks
    access: Access
    connections: Connections
    retention: Retention
    events: Events
    actions: Actions
    health: Health
    clock: Clock
    metrics: Metrics | None = None


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Bounds and intervals. Seconds and bytes."""

    heartbeat_seconds: float = 15.0  # a comment on a quiet event stream, so that proxies keep it open
    stall_seconds: float = 30.0  # a listener that takes nothing for so long is dropped
    max_body_bytes: int = 10 * 1024 * 1024
    max_delivery_bytes: int = 1024 * 1024  # of a webhook: whoever knows its address may send one


def doors_of(request: Request) -> Doors:
    """The doors of the application that serves this request."""
    doors: Doors = request.app.state.doors
    return doors


def options_of(app: FastAPI) -> HttpOptions:
    """The options of an application."""
    options: HttpOptions = app.state.options
    return options
