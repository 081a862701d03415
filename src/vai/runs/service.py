"""What may be asked of runs: start, read, cancel, retry, follow. The API, the CLI and triggers all call this."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.access import Principal
from vai.definition import KeyRule, check_input, given_input, is_large, key_of
from vai.domain.commands import Cancel, Retry
from vai.domain.events import RunCreated
from vai.domain.graph import ExpressionFailed, Graph, StepSpec
from vai.domain.ids import is_traceparent
from vai.domain.retry import PlannedStep, plan_retry
from vai.domain.state import RunContext, StepState
from vai.domain.status import DecisionStatus, RetryMode, RunStatus, StepStatus
from vai.ports import (
    ActionRunFilter,
    ActionRunRecord,
    ArtifactFilter,
    ArtifactRecord,
    AutomationRecord,
    Busy,
    Clock,
    Created,
    DecisionFilter,
    Fault,
    NewRun,
    Page,
    RunFilter,
    RunRecord,
    Store,
    StoredEvent,
    VersionRecord,
)
from vai.runs.calls import Calls
from vai.runs.definitions import Definitions
from vai.runs.door import Door, with_rows
from vai.runs.errors import IdempotencyMismatch, InvalidInput, KeyBusy, NotFound, NotStartable
from vai.runs.explain import MAX_REASONS, Explanation, explain
from vai.runs.starting import StartRun
from vai.runs.stream import Batch, EventHub


class StepView(msgspec.Struct, frozen=True):
    """A step as it stood at the end of an attempt, with its definition's name and dependencies."""

    state: StepState
    name: str
    depends_on: tuple[str, ...]
    kind: str
    progress: Any = None  # the last one reported
    element_of: tuple[str, int] | None = None  # the forEach step whose element it is, and its place


class RunSteps(msgspec.Struct, frozen=True):
    """All steps of a run in the order of the definition, and how many are in each status."""

    run_id: str
    steps: Sequence[StepView]
    counts: dict[StepStatus, int]


Placement = Callable[[str], str | None]
"""Given the orchestrator of a new run: the engine of this process that takes it at once, or None."""

JobNaming = Callable[[str, str], str | None]
"""Given the orchestrator and the id of a new run: what the system that will drive it calls it, or None."""


class Runs:
    """The runs of all organizations; every question names the organization that asks."""

    def __init__(self, store: Store, definitions: Definitions, clock: Clock, hub: EventHub, door: Door) -> None:
        self._store = store
        self._definitions = definitions
        self._clock = clock
        self._hub = hub
        self._door = door
        door.calls = Calls(store, self.start)
        self.place: Placement = lambda _orchestrator: None
        self.name_job: JobNaming = lambda _orchestrator, _run_id: None

    async def start(self, who: Principal, request: StartRun) -> Created:
        """Accept a run. With an idempotency key that was used before, the earlier run answers.

        Raises NotFound, NotStartable, InvalidInput, KeyBusy, IdempotencyMismatch.
        """
        digest = _request_hash(request)
        try:
            created = await self._begin(who, request, digest)
        except (NotStartable, InvalidInput):
            # Since the run was started, its version may have been archived, or another published.
            known = await self._known(who, request)
            if known is None:
                raise
            created = known
        if not created.is_new and created.idempotency_hash != digest:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used before with another request; use a new key for a new run."
            )
        return created

    async def _begin(self, who: Principal, request: StartRun, digest: str) -> Created:
        automation, version = await self._startable(who, request)
        await self._definitions.prepare(version.id, version.config)
        definition = self._definitions.stored(version.id, version.config)
        if is_large(request.input):
            # The process goes on with everything else meanwhile.
            faults = await asyncio.to_thread(check_input, definition, request.input)
        else:
            faults = check_input(definition, request.input)
        if faults:
            raise InvalidInput(faults)
        request = msgspec.structs.replace(request, input=given_input(definition, request.input))
        rule = definition.concurrency
        if rule is not None and request.concurrency_key is None:
            key = self._key(rule, who, request)
            request = msgspec.structs.replace(request, concurrency_key=None if key in request.keys_held else key)
        new = self._new_run(who, request, automation, version, digest)
        if rule is not None:
            new = msgspec.structs.replace(new, concurrency_limit=rule.limit, on_conflict=rule.on_conflict)
        return await self._create(new, definition.graph)

    def _key(self, rule: KeyRule, who: Principal, request: StartRun) -> str | None:
        source = {"type": request.trigger_type, "sourceType": who.source_type, "sourceId": who.source_id}
        trigger = {**request.trigger, **source}
        context = RunContext(
            who.tenant_id, request.automation_id, self._clock(), request.input, request.payload, trigger
        )
        try:
            return key_of(rule, context)
        except ExpressionFailed as failure:
            reason = f"The automation's concurrency key cannot be had: {failure.details['reason']}"
            raise InvalidInput([Fault((), reason, "concurrency_key")]) from failure

    async def _known(self, who: Principal, request: StartRun) -> Created | None:
        key = request.idempotency_key
        return None if key is None else await self._store.known_run(who.tenant_id, request.automation_id, key)

    async def _create(self, new: NewRun, graph: Graph) -> Created:
        with contextlib.nullcontext() if new.lease_owner is None else self._door.handing_over(new, graph):
            created = await self._store.create_run(new)
        if isinstance(created, Busy):
            raise KeyBusy(new.record.concurrency_key, created.run_id)
        return created

    def _new_run(
        self,
        who: Principal,
        request: StartRun,
        automation: AutomationRecord,
        version: VersionRecord,
        digest: str,
    ) -> NewRun:
        record = self._new_record(who, request, automation, version)
        return NewRun(
            record=record,
            input=request.input,
            payload=request.payload,
            events=(_created(record, request),),
            idempotency_key=request.idempotency_key,
            idempotency_hash=digest,
            # Whether it may begin is known when it is stored: then an engine claims it.
            lease_owner=self.place(automation.orchestrator_type) if record.concurrency_key is None else None,
        )

    def _new_record(
        self, who: Principal, request: StartRun, automation: AutomationRecord, version: VersionRecord
    ) -> RunRecord:
        now = self._clock()
        run_id = str(uuid7())
        parent_run_id, parent_step_key, parent_attempt = request.parent or (None, None, None)
        return RunRecord(
            id=run_id,
            tenant_id=who.tenant_id,
            automation_id=automation.id,
            automation_version_id=version.id,
            version_number=version.number,
            status=RunStatus.PENDING,
            orchestrator_type=automation.orchestrator_type,
            trigger_type=request.trigger_type,
            trigger_source_type=who.source_type,
            trigger_source_id=who.source_id,
            concurrency_key=request.concurrency_key,
            external_job_id=self.name_job(automation.orchestrator_type, run_id),
            error=None,
            attempt=1,
            cancel_requested_at=None,
            created_at=now,
            started_at=None,
            completed_at=None,
            updated_at=now,
            version=1,
            event_seq=1,
            parent_run_id=parent_run_id,
            parent_step_key=parent_step_key,
            parent_attempt=parent_attempt,
        )

    async def _startable(self, who: Principal, request: StartRun) -> tuple[AutomationRecord, VersionRecord]:
        number = request.version_number
        found = await self._store.startable(who.tenant_id, request.automation_id, number)
        if found is None:
            raise NotFound(f"There is no automation {request.automation_id}.")
        automation, version = found
        if version is None and number is None:
            raise NotStartable(
                f"Automation {automation.name!r} has no active version. Publish a version, then start the run."
            )
        if version is None:
            raise NotFound(f"Automation {automation.name!r} has no version {number}.")
        if version.status == "draft":
            raise NotStartable(f"Version {number} is a draft and may still change. Publish it, then start the run.")
        return automation, version

    async def get(self, who: Principal, run_id: str) -> RunRecord:
        """One run. Raises NotFound."""
        run = await self._store.run(who.tenant_id, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id}.")
        return run

    async def list(
        self,
        who: Principal,
        statuses: Sequence[RunStatus],
        limit: int,
        offset: int,
        automation_id: str | None = None,
    ) -> Page:
        """Runs, newest first. Raises NotFound for an unknown automation."""
        if automation_id is not None and await self._store.automation(who.tenant_id, automation_id) is None:
            raise NotFound(f"There is no automation {automation_id}.")
        return await self._store.runs(RunFilter(who.tenant_id, statuses, automation_id, limit, offset))

    async def cancel(self, who: Principal, run_id: str) -> RunRecord:
        """End the run early; a final run answers unchanged. Raises NotFound."""
        await self.get(who, run_id)
        await self._door.apply(run_id, Cancel(by=who.source_id))
        return await self.get(who, run_id)

    async def retry(self, who: Principal, run_id: str, mode: RetryMode, step_key: str | None) -> RunRecord:
        """Take a final run up again. Raises NotFound or a Refusal."""
        await self.get(who, run_id)
        await self._door.apply(run_id, Retry(mode, step_key, who.source_id))
        return await self.get(who, run_id)

    async def retry_plan(
        self, who: Principal, run_id: str, mode: RetryMode, step_key: str | None
    ) -> tuple[PlannedStep, ...]:
        """What that retry would do to each step. Changes nothing. Raises NotFound or a Refusal."""
        await self.get(who, run_id)
        return plan_retry((await self._door.load(run_id)).state, mode, step_key)

    async def explain(self, who: Principal, run_id: str) -> Explanation:
        """Why the run and its steps stand where they stand. Raises NotFound."""
        run = await self.get(who, run_id)
        turn = await self._store.turn(who.tenant_id, run_id)
        engines = sum(engine.is_live for engine in (await self._store.standing()).engines)
        is_embedded = self.name_job(run.orchestrator_type, run_id) is None
        loaded = await self._door.load(run_id)
        query = DecisionFilter(who.tenant_id, (DecisionStatus.PENDING,), run_id, limit=MAX_REASONS)
        asked = (await self._store.decisions(query)).items
        return explain(loaded, turn, asked, engines, is_embedded=is_embedded)

    async def steps(self, who: Principal, run_id: str, attempt: int | None = None) -> RunSteps:
        """The steps as they stand, or as they stood in an earlier attempt. Raises NotFound."""
        run = await self.get(who, run_id)
        if attempt is not None and not 1 <= attempt <= run.attempt:
            raise NotFound(f"Run {run_id} has no attempt {attempt}; it has {run.attempt}.")
        version = await self._store.version(run.automation_version_id)
        config = version.config if version else {}
        await self._definitions.prepare(run.automation_version_id, config)
        graph = self._definitions.graph(run.automation_version_id, config)
        rows = await self._store.steps(who.tenant_id, run_id, attempt)
        graph, states = with_rows(graph, [row.state for row in rows])
        progress = {row.state.key: row.progress for row in rows if states.get(row.state.key) is row.state}
        views = [_view(spec, states[key], progress.get(key)) for key, spec in graph.steps.items()]
        counts = dict.fromkeys(StepStatus, 0)
        for view in views:
            counts[view.state.status] += 1
        return RunSteps(run_id, views, counts)

    async def events(self, who: Principal, run_id: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Stored events with a number above `after`. Raises NotFound."""
        await self.get(who, run_id)
        return await self._store.events(run_id, after, limit)

    async def follow(self, who: Principal, run_id: str, after: int) -> AsyncIterator[Batch]:
        """The run's events, live. Raises NotFound at once; the iterator may raise SlowListener."""
        return self._hub.follow(await self.get(who, run_id), after)

    async def action_run(self, who: Principal, action_run_id: str) -> ActionRunRecord:
        """One action run. Raises NotFound."""
        found = await self._store.action_run(who.tenant_id, action_run_id)
        if found is None:
            raise NotFound(f"There is no action run {action_run_id}.")
        return found

    async def action_runs(self, query: ActionRunFilter) -> Page:
        """Action runs, newest first."""
        return await self._store.action_runs(query)

    async def artifacts(self, query: ArtifactFilter) -> Page:
        """Artifacts, newest first."""
        return await self._store.artifacts(query)

    async def artifact(self, who: Principal, artifact_id: str) -> ArtifactRecord:
        """An artifact without its content. Raises NotFound."""
        found = await self._store.artifact(who.tenant_id, artifact_id)
        if found is None:
            raise NotFound(f"There is no artifact {artifact_id}.")
        return found

    async def artifact_content(self, artifact: ArtifactRecord, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes of an artifact from `first` to `last`, both counted, in pieces. Raises NotFound."""
        if artifact.place is not None and self._door.attachments is not None:
            return await self._door.attachments.read(artifact, first, last)
        found = await self._store.artifact_content(artifact.tenant_id, artifact.id)
        if found is None:
            raise NotFound(f"There is no artifact {artifact.id}.")
        return _at_once(found[1].encode()[first : last + 1])


async def _at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _created(record: RunRecord, request: StartRun) -> RunCreated:
    # A header that is none is ignored, as its standard has it.
    traceparent = request.traceparent if is_traceparent(request.traceparent) else None
    return RunCreated(
        record.created_at,
        request.trigger_type,
        record.version_number,
        traceparent or msgspec.UNSET,
        request.trigger or msgspec.UNSET,
    )


def _view(spec: StepSpec, state: StepState, progress: Any) -> StepView:
    place = None if spec.parent is None else (spec.parent, spec.index)
    return StepView(state, spec.name or spec.key, spec.depends_on, spec.kind, progress, place)


def _request_hash(request: StartRun) -> str:
    asked = [request.automation_id, request.input, request.concurrency_key, request.version_number]
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()
