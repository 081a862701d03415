"""Steps' rows: one for each attempt in which a step was taken up, and what comes back is what went in."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.samples import NOW, Tenant, accept, add_tenant, change, land, new_id, step
from vai.domain.state import EventWait, Fan, Result, RunError, StepError, StepState
from vai.domain.status import OnTimeout, RunStatus, SkipReason, StepStatus
from vai.ports import ActionRunFilter, StepWrite
from vai.storage.store import SqlStore


async def keys_and_tries(store: SqlStore, tenant: Tenant, run_id: str, attempt: int | None) -> dict[str, Any]:
    records = await store.steps(tenant.id, run_id, attempt)
    return {record.state.key: (record.state.attempt, record.state.tries) for record in records}


async def test_each_attempt_shows_the_rows_as_they_were_then(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    first = [step("a", tries=1), step("b", tries=2)]
    version = (await land(store, change(run, steps=first))).version
    second = [step("b", attempt=2, tries=3), step("c", attempt=2, tries=4)]
    version = (await land(store, change(run, version=version, attempt=2, steps=second))).version
    await land(store, change(run, version=version, attempt=3, steps=[step("b", attempt=3, tries=5)]))
    assert await keys_and_tries(store, tenant, run.id, 1) == {"a": (1, 1), "b": (1, 2)}
    assert await keys_and_tries(store, tenant, run.id, 2) == {"a": (1, 1), "b": (2, 3), "c": (2, 4)}
    latest = {"a": (1, 1), "b": (3, 5), "c": (2, 4)}
    assert await keys_and_tries(store, tenant, run.id, None) == latest
    loaded = await store.load(run.id)
    assert loaded is not None
    assert {r.state.key: (r.state.attempt, r.state.tries) for r in loaded.steps} == latest


async def test_an_unset_definition_leaves_the_stored_one(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    version = run.version
    seen = []
    for written in ({"definition": {"rows": 1}}, {}, {"definition": None}, {"definition": [2]}):
        version = (await land(store, change(run, version=version, steps=[step(**written)]))).version
        (record,) = await store.steps(tenant.id, run.id)
        seen.append(record.definition)
    assert seen == [{"rows": 1}, {"rows": 1}, None, [2]]


async def test_a_large_result_is_loaded_whole_and_shown_as_a_preview(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    artifact_id, action_run_id = new_id(), new_id()
    preview = Result("a preview", truncated=True, artifact_id=artifact_id)
    written = step(action_run_id=action_run_id, result=preview, artifact='{"rows":[1,2,3],"city":"Zürich"}')
    await land(store, change(run, steps=[written]))
    (shown,) = await store.steps(tenant.id, run.id)
    assert shown.state.result == preview
    loaded = await store.load(run.id)
    assert loaded is not None
    whole = {"rows": [1, 2, 3], "city": "Zürich"}
    assert loaded.steps[0].state.result == Result(whole, truncated=True, artifact_id=artifact_id)
    found = await store.artifact_content(tenant.id, artifact_id)
    assert found is not None
    record, content = found
    assert content == written.artifact
    assert (record.run_id, record.action_run_id, record.kind) == (run.id, action_run_id, "json")
    assert record.size_bytes == len(content.encode())


async def test_action_runs_are_listed_newest_first_and_filtered(store: SqlStore, tenant: Tenant) -> None:
    run, another = [await accept(store, tenant, trigger_source_id="key") for _ in range(2)]
    done = [
        step(f"s{i}", kind=("python", "wait")[i % 2], status=StepStatus.COMPLETED, action_run_id=new_id())
        for i in range(4)
    ]
    skipped = step("skipped", status=StepStatus.SKIPPED, skip_reason=SkipReason.CONDITION)
    await land(store, change(run, steps=[*done, skipped]))
    running = step("running", status=StepStatus.RUNNING, action_run_id=new_id())
    await land(store, change(another, steps=[running]))

    async def keys(**query: Any) -> tuple[list[str], int]:
        page = await store.action_runs(ActionRunFilter(tenant.id, **query))
        return [item.step.state.key for item in page.items], page.total

    assert await keys() == (["running", "s3", "s2", "s1", "s0"], 5)
    assert await keys(limit=2, offset=1) == (["s3", "s2"], 5)
    assert await keys(kind="wait") == (["s3", "s1"], 2)
    assert await keys(run_id=run.id, kind="python", status=StepStatus.COMPLETED) == (["s2", "s0"], 2)
    assert await keys(status=StepStatus.FAILED) == ([], 0)
    assert await keys(limit=0) == ([], 5)
    one = await store.action_run(tenant.id, running.state.action_run_id or "")
    assert one is not None
    assert (one.kind, one.tenant_id, one.trigger_source_type, one.trigger_source_id) == (
        "python",
        tenant.id,
        "user",
        "key",
    )
    assert (one.step.run_id, one.step.state, one.created_at) == (another.id, running.state, NOW)


# --- round trip ------------------------------------------------------------------------------------------------

instants = st.none() | st.integers(0, 2**53)
texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ids = st.none() | st.builds(new_id)
keys = st.from_regex(r"[a-z][a-z0-9_]{0,10}(\[\d\])?", fullmatch=True)
step_states = st.builds(
    StepState,
    key=keys,
    status=st.sampled_from(StepStatus),
    attempt=st.integers(1, 3),
    action_run_id=ids,
    started_at=instants,
    completed_at=instants,
    result=st.none() | st.builds(Result, value=json_values, truncated=st.booleans(), artifact_id=ids),
    error=st.none()
    | st.builds(
        StepError,
        type=texts,
        message=texts,
        retryable=st.booleans(),
        details=st.dictionaries(texts, json_values, max_size=2),
    ),
    tries=st.integers(0, 100),
    interrupts=st.integers(0, 100),
    losses=st.integers(0, 100),
    next_attempt_at=instants,
    wake_at=instants,
    decision_id=ids,
    child_run_id=ids,
    awaits=st.none()
    | st.builds(
        EventWait,
        event_type=keys,
        since=st.integers(0, 2**53),
        match=st.none() | texts,
        names=st.none() | st.dictionaries(texts, json_values, max_size=2),
        on_timeout=st.sampled_from(OnTimeout),
    ),
    skip_reason=st.none() | st.sampled_from(SkipReason),
    skipped_by=st.none() | keys,
    fan=st.none() | st.builds(Fan, elements=st.lists(json_values, max_size=3), attempt=st.integers(1, 3)),
)


def test_the_round_trip_covers_every_field() -> None:
    # `unmet` is computed anew when a run is loaded, and `on_expire` is with the step's decision.
    assert set(StepState.__struct_fields__) - {"unmet", "on_expire"} <= set(step_states.wrapped_strategy.kwargs)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(states=st.lists(step_states, max_size=4, unique_by=lambda state: state.key), definition=json_values)
async def test_what_is_loaded_is_what_was_written(store: SqlStore, states: list[StepState], definition: object) -> None:
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    writes = [StepWrite(state, "python", definition) for state in states]
    await land(store, change(run, steps=writes))
    loaded = await store.load(run.id)
    assert loaded is not None
    assert {record.state.key: record.state for record in loaded.steps} == {state.key: state for state in states}
    assert all(record.definition == definition for record in loaded.steps)


async def test_every_field_of_the_run_comes_back(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    failure = RunError("step_failed", "it broke", ("a", "b"))
    wanted = change(
        run,
        status=RunStatus.FAILED,
        attempt=4,
        stopping="timeout",
        attempt_started_at=NOW + 7,
        cancel_requested_at=NOW + 8,
        error=failure,
    )
    await land(store, wanted)
    loaded = await store.load(run.id)
    assert loaded is not None
    record = loaded.run
    assert (loaded.stopping, loaded.attempt_started_at) == ("timeout", NOW + 7)
    assert (record.status, record.attempt, record.error) == (RunStatus.FAILED, 4, failure)
    assert (record.cancel_requested_at, record.completed_at, record.updated_at) == (NOW + 8, NOW, NOW)
