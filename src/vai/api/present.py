"""Records as the API shows them: camel case, RFC 3339 times, every field there; and as ready bytes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from starlette.responses import Response

from vai.automations import AutomationPage, AutomationView, shown_config
from vai.domain.ids import idempotency_key
from vai.domain.retry import PlannedAction, PlannedStep
from vai.domain.state import Instant, StepState
from vai.domain.status import RetryMode, StepStatus
from vai.ports import (
    Action,
    ActionRunRecord,
    ConnectionRecord,
    Page,
    RunRecord,
    TriggerRecord,
    VersionRecord,
)
from vai.runs import Explanation
from vai.runs.service import RunSteps, StepView

encode = msgspec.json.Encoder().encode


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(encode(body), status, headers, "application/json")


# --- times -------------------------------------------------------------------------------------------------


_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(at: Instant) -> str:
    """An instant as RFC 3339 text with milliseconds."""
    return _second(at // 1000) + _MILLISECONDS[at % 1000]


def _time(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)


def _duration(start: Instant | None, end: Instant | None) -> float | None:
    return None if start is None or end is None else (end - start) / 1000


# --- runs --------------------------------------------------------------------------------------------------


def run(record: RunRecord) -> dict[str, Any]:
    """A run."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "automationId": record.automation_id,
        "automationVersionId": record.automation_version_id,
        "versionNumber": record.version_number,
        "status": record.status,
        "attempt": record.attempt,
        "orchestratorType": record.orchestrator_type,
        "externalJobId": record.external_job_id,
        "triggerType": record.trigger_type,
        "triggerSourceType": record.trigger_source_type,
        "triggerSourceId": record.trigger_source_id,
        "concurrencyKey": record.concurrency_key,
        "parentRunId": record.parent_run_id,
        "parentStepKey": record.parent_step_key,
        "createdAt": rfc3339(record.created_at),
        "startedAt": _time(record.started_at),
        "completedAt": _time(record.completed_at),
        "updatedAt": rfc3339(record.updated_at),
        "cancelRequestedAt": _time(record.cancel_requested_at),
        "durationSeconds": _duration(record.started_at, record.completed_at),
        "error": record.error,
    }


def run_page(page: Page) -> dict[str, Any]:
    """A page of runs."""
    return {"items": [run(record) for record in page.items], "total": page.total}


def steps(found: RunSteps) -> dict[str, Any]:
    """The steps of a run with their seven counts."""
    counts = found.counts
    return {
        "automationRunId": found.run_id,
        "completedCount": counts[StepStatus.COMPLETED],
        "failedCount": counts[StepStatus.FAILED],
        "pendingCount": counts[StepStatus.PENDING],
        "runningCount": counts[StepStatus.RUNNING],
        "skippedCount": counts[StepStatus.SKIPPED],
        "cancelledCount": counts[StepStatus.CANCELLED],
        "awaitingApprovalCount": counts[StepStatus.AWAITING_APPROVAL],
        "steps": [_step(view) for view in found.steps],
    }


def _step(view: StepView) -> dict[str, Any]:
    state = view.state
    return {
        "key": state.key,
        "name": view.name,
        "kind": view.kind,
        "dependsOn": view.depends_on,
        **_execution(state),
        "actionRunId": state.action_run_id,
        "decisionId": state.decision_id,
        "childRunId": state.child_run_id,
        "attempt": state.attempt,
        "tries": state.tries,
        "interruptCount": state.interrupts,
        "nextAttemptAt": _time(state.next_attempt_at),
        "waitUntil": _time(state.wake_at),
        "awaitedEventType": None if state.awaits is None else state.awaits.event_type,
        "skipReason": state.skip_reason,
        "parentKey": None if view.element_of is None else view.element_of[0],
        "index": None if view.element_of is None else view.element_of[1],
        "elementCount": None if state.fan is None else len(state.fan.elements),
        "progress": view.progress,
    }


def _execution(state: StepState) -> dict[str, Any]:
    """What a step and its action run have in common."""
    result = state.result
    return {
        "status": state.status,
        "startedAt": _time(state.started_at),
        "completedAt": _time(state.completed_at),
        "durationSeconds": _duration(state.started_at, state.completed_at),
        "error": state.error,
        "result": None if result is None else _object(result.value),
        "resultTruncated": result is not None and result.truncated,
        "artifactId": None if result is None else result.artifact_id,
    }


def _object(value: Any) -> Any:
    """The contract has an object, or null, where an action may have answered anything."""
    return value if value is None or isinstance(value, dict) else {"value": value}


def retry_plan(record: RunRecord, mode: RetryMode, plan: Sequence[PlannedStep]) -> dict[str, Any]:
    """What a retry would do to each step."""
    counts = dict.fromkeys(PlannedAction, 0)
    for step in plan:
        counts[step.action] += 1
    return {
        "runId": record.id,
        "mode": mode,
        "attempt": record.attempt + 1,
        "steps": [
            {"key": step.key, "action": step.action, "reason": step.reason, "fromAttempt": step.from_attempt}
            for step in plan
        ],
        "counts": counts,
    }


def explanation(found: Explanation) -> dict[str, Any]:
    """Why a run stands where it stands."""
    return {
        "runId": found.run_id,
        "status": found.status,
        "isAtWork": found.is_at_work,
        "reasons": [
            {
                "stepKey": reason.step_key,
                "reason": reason.sentence,
                "since": _time(reason.since),
                "until": _time(reason.until),
                "advice": reason.advice,
            }
            for reason in found.reasons
        ],
    }


# --- automations -------------------------------------------------------------------------------------------


def automation(view: AutomationView) -> dict[str, Any]:
    """An automation."""
    record, latest = view.record, view.latest_run
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "name": record.name,
        "slug": record.slug,
        "description": record.description,
        "status": record.status,
        "triggerType": record.trigger_type,
        "orchestratorType": record.orchestrator_type,
        "config": shown_config(view.versions.config),
        "templateId": record.template_id,
        "sourceType": "manual",
        "sourceAgentRunId": None,
        "sourceAgentSpecId": None,
        "latestRun": None if latest is None else _latest_run(latest),
        "versionsSummary": {
            "count": view.versions.count,
            "activeCount": view.versions.active_count,
            "hasDraft": view.versions.has_draft,
        },
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
    }


def _latest_run(record: RunRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": record.status,
        "versionNumber": record.version_number,
        "startedAt": _time(record.started_at),
        "completedAt": _time(record.completed_at),
    }


def automation_page(page: AutomationPage) -> dict[str, Any]:
    """A page of automations."""
    return {"items": [automation(view) for view in page.items], "total": page.total}


def version(record: VersionRecord) -> dict[str, Any]:
    """A version of an automation."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "automationId": record.automation_id,
        "number": record.number,
        "status": record.status,
        "config": shown_config(record.config),
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
        "publishedAt": _time(record.published_at),
    }


def listed(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A whole list."""
    found = list(items)
    return {"items": found, "total": len(found)}


# --- action runs, kinds, artifacts -------------------------------------------------------------------------


def action_run(record: ActionRunRecord) -> dict[str, Any]:
    """The execution of a step in one attempt of its run."""
    step = record.step
    state = step.state
    return {
        "id": state.action_run_id,
        "kind": record.kind,
        **_execution(state),
        "displayStatus": _display_status(state),
        "automationRunId": step.run_id,
        "stepKey": state.key,
        "attempt": state.attempt,
        "definition": step.definition,
        "progress": step.progress,
        "interruptCount": state.interrupts,
        "retryCount": max(0, state.tries - state.interrupts - 1),
        "idempotencyKey": idempotency_key(step.run_id, state.key, state.attempt),
        "concurrencyKey": None,
        "actionId": None,
        "parentActionRunId": None,
        "triggerMethod": "automation",
        "triggerSourceType": record.trigger_source_type,
        "triggerSourceId": record.trigger_source_id,
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
    }


def _display_status(state: StepState) -> str:
    if state.next_attempt_at is not None:
        return "retrying"
    waits = state.wake_at is not None or state.awaits is not None
    is_waiting = waits and state.status is StepStatus.RUNNING  # else a decision expires then
    return "waiting" if is_waiting else state.status.value


def action_run_page(page: Page, limit: int, offset: int) -> dict[str, Any]:
    """A page of action runs."""
    return {
        "runs": [action_run(record) for record in page.items],
        "hasNext": offset + len(page.items) < page.total,
        "limit": limit,
        "offset": offset,
        "total": page.total,
        "users": {},
    }


def kind(action: Action) -> dict[str, Any]:
    """A kind of step."""
    return {
        "kind": action.kind,
        "title": action.title,
        "description": action.description,
        "available": action.available,
        "extra": action.extra,
        "definitionSchema": action.definition_schema,
    }


# --- connections -------------------------------------------------------------------------------------------


def connection(record: ConnectionRecord) -> dict[str, Any]:
    """A connection; of its credentials only the names of their fields."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "name": record.name,
        "slug": record.slug,
        "provider": record.provider,
        "config": record.config,
        "hasCredentials": record.credentials is not None,
        "credentialFields": record.credential_fields,
        "status": record.status,
        "verificationError": record.verification_error,
        "lastVerifiedAt": _time(record.last_verified_at),
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
    }


def connection_page(page: Page, limit: int, offset: int) -> dict[str, Any]:
    """A page of connections."""
    shown = [connection(record) for record in page.items]
    has_next = offset + len(shown) < page.total and bool(shown)
    return {"connections": shown, "hasNext": has_next, "limit": limit, "offset": offset, "total": page.total}


# --- triggers ----------------------------------------------------------------------------------------------


def trigger(record: TriggerRecord) -> dict[str, Any]:
    """A trigger."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "automationId": record.automation_id,
        "versionId": record.version_id,
        "key": record.key,
        "type": record.type,
        "config": shown_config(record.config),
        "paused": record.is_paused,
        "nextDueAt": _time(record.next_due_at),
        "lastDueAt": _time(record.last_due_at),
        "lastRunId": record.last_run_id,
        "lastError": record.last_error,
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
        "url": f"/webhooks/{record.tenant_id}/{record.address}" if record.type == "webhook" else None,
    }


def next_runs(due_times: Sequence[Instant]) -> dict[str, Any]:
    """When runs are due next."""
    return {"nextRuns": [rfc3339(at) for at in due_times]}
