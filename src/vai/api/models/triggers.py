"""Triggers, and when schedules are due."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from vai.api.models.common import NO_NUL, Answer, Request


class Trigger(Answer):
    """What starts runs of an automation besides people. `next_due_at`: of a schedule, also while it is paused."""

    automation_id: str
    config: dict[str, Any]
    created_at: AwareDatetime
    id: str
    key: str
    last_due_at: AwareDatetime | None
    last_error: str | None = Field(description="Why it started no run the last time.")
    last_run_id: str | None
    next_due_at: AwareDatetime | None
    paused: bool
    tenant_id: str
    type: Literal["schedule", "webhook", "event"]
    updated_at: AwareDatetime
    url: str | None = Field(description="Of a webhook: where deliveries go, below the server's own address.")
    version_id: str


class TriggerList(Answer):
    """The triggers of an automation's active version, by key."""

    items: list[Trigger]
    total: int


class WebhookReceipt(Answer):
    """What became of a delivery. `accepted`: it started the run; `known`: it started it before; `ignored`: its `match`
    is not met; `skipped`: another run of its concurrency key is under way."""

    outcome: Literal["accepted", "known", "ignored", "skipped"]
    run_id: str | None


class NextRuns(Answer):
    """When runs are due next."""

    next_runs: list[AwareDatetime]


class CronPreviewRequest(Request):
    """A cron line to look at."""

    cron_expression: str = Field(max_length=1000, pattern=NO_NUL)
    count: int = Field(default=5, ge=1, le=100, strict=True)
    timezone: str = Field(default="UTC", max_length=255, pattern=NO_NUL)
