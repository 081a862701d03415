"""Changes of runs: the guard, what a batch does to each, the numbers of events, and who hears of them."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.storage.samples import NOW, Clock, Tenant, accept, change, held_writer, land, log, new_id, new_run, step
from vai.domain.events import RunStarted, StepCompleted, StepProgress
from vai.domain.state import Result
from vai.domain.status import RunStatus, StepStatus
from vai.ports import AlreadyExists, ArtifactRecord, Conflict, Landed, RunFilter, StoredEvent
from vai.storage import open_store
from vai.storage.store import SqlStore


async def test_a_change_lands_with_its_steps_and_events(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    started = step(status=StepStatus.RUNNING, action_run_id=new_id(), started_at=NOW)
    landed = await land(store, change(run, events=[RunStarted(NOW), log()], steps=[started]))
    assert landed == Landed(run.version + 1, 3)
    stored = await store.run(tenant.id, run.id)
    assert stored is not None
    assert (stored.status, stored.started_at, stored.version, stored.event_seq) == (
        RunStatus.RUNNING,
        NOW,
        run.version + 1,
        3,
    )
    assert [record.state for record in await store.steps(tenant.id, run.id)] == [started.state]
    assert [event.type for event in await store.events(run.id)] == ["run.created", "run.started", "step.log"]
    assert [event.seq for event in await store.events(run.id, after=1, limit=1)] == [2]


@pytest.mark.parametrize("reason", ["old version", "lease held by another", "lease held by nobody"])
async def test_a_refused_change_writes_nothing(store: SqlStore, tenant: Tenant, reason: str) -> None:
    await store.register_engine("other", 60)
    owner = "other" if reason == "lease held by another" else None
    run = await accept(store, tenant, lease_owner=owner)
    before = await store.load(run.id)
    refused = change(
        run,
        version=run.version - 1 if reason == "old version" else None,
        lease_owner=None if reason == "old version" else "me",
        events=[RunStarted(NOW)],
        steps=[
            step(
                status=StepStatus.COMPLETED,
                action_run_id=new_id(),
                result=Result("preview", truncated=True, artifact_id=new_id()),
                artifact='"whole"',
            )
        ],
    )
    assert isinstance(await store.commit(refused), Conflict)
    assert await store.load(run.id) == before
    assert len(await store.events(run.id)) == 1
    result = refused.steps[0].state.result
    assert result is not None
    assert await store.artifact_content(tenant.id, result.artifact_id or "") is None


async def test_one_batch_accepts_and_refuses_each_on_its_own(store: SqlStore, tenant: Tenant) -> None:
    runs = [await accept(store, tenant) for _ in range(6)]
    async with held_writer(store):
        outcomes = [
            asyncio.ensure_future(store.commit(change(run, version=run.version - i % 2, events=[log(str(i))])))
            for i, run in enumerate(runs)
        ]
        await asyncio.sleep(0)
    assert [type(outcome) for outcome in await asyncio.gather(*outcomes)] == [Landed, Conflict] * 3
    assert [len(await store.events(run.id)) for run in runs] == [2, 1] * 3


async def test_changes_of_one_run_in_a_batch_are_as_if_one_after_the_other(store: SqlStore, tenant: Tenant) -> None:
    await store.register_engine("me", 60)
    run = await accept(store, tenant, lease_owner="me")
    async with held_writer(store):
        jobs: list[asyncio.Future[object]] = [
            asyncio.ensure_future(store.commit(change(run, events=[log("1")], steps=[step(tries=1)]))),
            asyncio.ensure_future(store.append(run.id, "me", 1, [log("2")])),
            asyncio.ensure_future(store.commit(change(run, events=[log("never")], steps=[step(tries=9)]))),
            asyncio.ensure_future(store.append(run.id, "me", 1, [log("3")])),
            asyncio.ensure_future(
                store.commit(
                    change(run, version=run.version + 1, events=[log("4")], steps=[step(tries=2)], release=True)
                )
            ),
            asyncio.ensure_future(store.append(run.id, "me", 1, [log("too late")])),
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*jobs)
    assert outcomes == [
        Landed(run.version + 1, 2),
        True,
        Conflict(),
        True,
        Landed(run.version + 2, 5),
        False,
    ]
    messages = [event.data for event in await store.events(run.id)][1:]
    assert [f'"message":"{i}"' in data for i, data in enumerate(messages, 1)] == [True] * 4
    (record,) = await store.steps(tenant.id, run.id)
    assert record.state.tries == 2


async def test_event_numbers_have_no_gaps_under_many_committers(store: SqlStore, tenant: Tenant) -> None:
    await store.register_engine("me", 60)
    runs = [await accept(store, tenant, lease_owner="me") for _ in range(4)]
    heard: dict[str, list[StoredEvent]] = {run.id: [] for run in runs}
    store.on_commit.append(lambda run_id, _, events: heard[run_id].extend(events))

    async def work(number: int) -> None:
        run = runs[number % 4]
        for i in range(12):
            current = await store.run(tenant.id, run.id)
            assert current is not None
            wanted = change(run, version=current.version, events=[log(f"{number}.{i}")] * (1 + i % 3))
            await store.commit(wanted)  # some are refused: another was faster
            assert await store.append(run.id, "me", 1, [log("more"), log("and more")])

    await asyncio.gather(*(work(number) for number in range(16)))
    for run in runs:
        stored = await store.events(run.id)
        current = await store.run(tenant.id, run.id)
        assert current is not None
        assert [event.seq for event in stored] == list(range(1, current.event_seq + 1))
        assert heard[run.id] == list(stored[1:])  # in their order, each once, as stored


async def test_without_a_lease_an_append_lands_only_where_nobody_holds_the_run(store: SqlStore, tenant: Tenant) -> None:
    await store.register_engine("me", 60)
    held = await accept(store, tenant, lease_owner="me")
    assert not await store.append(held.id, None, 1, [log()])
    run = await accept(store, tenant)
    assert await store.append(run.id, None, 1, [log("1"), log("2")])
    assert not await store.append(run.id, None, 2, [log("of another attempt")])
    await land(store, change(run, status=RunStatus.COMPLETED))
    assert not await store.append(run.id, None, 1, [log("after its end")])
    assert [event.type for event in await store.events(run.id)] == ["run.created", "step.log", "step.log"]


async def test_an_artifact_can_be_kept_before_the_change_that_names_it(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    artifact = ArtifactRecord(new_id(), tenant.id, run.id, new_id(), "json", 14, NOW)
    await store.save_artifact(artifact, '{"whole":true}')
    preview = Result({"preview": "…"}, True, artifact.id)
    await land(store, change(run, steps=[step(status=StepStatus.COMPLETED, completed_at=NOW, result=preview)]))
    assert await store.artifact_content(tenant.id, artifact.id) == (artifact, '{"whole":true}')
    loaded = await store.load(run.id)
    assert loaded is not None
    assert loaded.steps[0].state.result == Result({"whole": True}, True, artifact.id)


async def test_append_changes_no_version_and_keeps_the_last_progress(store: SqlStore, tenant: Tenant) -> None:
    await store.register_engine("me", 60)
    run = await accept(store, tenant, lease_owner="me")
    landed = await land(store, change(run, steps=[step("a"), step("b")]))
    told = [
        StepProgress(NOW, "a", {"done": 1}),
        StepProgress(NOW, "b", {"done": 5}),
        StepProgress(NOW, "a", {"done": 2}),
    ]
    assert await store.append(run.id, "me", 1, told)
    assert not await store.append(run.id, "me", 2, told)
    assert not await store.append(run.id, "another", 1, told)
    after = await store.run(tenant.id, run.id)
    assert after is not None
    assert (after.version, after.event_seq) == (landed.version, 4)
    progress = {record.state.key: record.progress for record in await store.steps(tenant.id, run.id)}
    assert progress == {"a": {"done": 2}, "b": {"done": 5}}
    # A later write of the step's row leaves its progress.
    await land(store, change(run, version=landed.version, steps=[step("a", tries=2)]))
    progress = {record.state.key: record.progress for record in await store.steps(tenant.id, run.id)}
    assert progress["a"] == {"done": 2}


async def test_listeners_hear_after_the_answer_and_once_a_run(store: SqlStore, tenant: Tenant) -> None:
    order: list[object] = []

    def listen(run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        order.append((run_id, status, [event.seq for event in events]))

    store.on_commit.append(listen)
    created = store.create_run(new_run(tenant))
    run = (await created).run
    answer = asyncio.ensure_future(store.commit(change(run, events=[RunStarted(NOW), log()])))
    answer.add_done_callback(lambda _: order.append("answered"))
    refused = await store.commit(change(run, version=99, events=[log()]))
    await answer
    assert isinstance(refused, Conflict)
    await asyncio.sleep(0)
    assert order[0] == (run.id, RunStatus.PENDING, [1])
    assert (run.id, RunStatus.RUNNING, [2, 3]) in order
    assert len(order) == 3


async def test_a_listener_that_fails_harms_nobody(
    store: SqlStore, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(run_id: str, status: object, events: object) -> None:
        raise RuntimeError("broken")

    store.on_commit += [broken, lambda run_id, status, events: heard.append(run_id)]
    run = await accept(store, tenant)
    assert heard == [run.id]
    assert "A listener failed" in caplog.text


async def test_a_job_that_cannot_be_written_fails_alone(store: SqlStore, tenant: Tenant) -> None:
    runs = [await accept(store, tenant) for _ in range(3)]
    async with held_writer(store):
        jobs: list[asyncio.Future[object]] = [
            asyncio.ensure_future(store.commit(change(runs[0], events=[log()]))),
            # A run whose automation does not exist.
            asyncio.ensure_future(store.create_run(new_run(tenant, automation_id=new_id()))),
            asyncio.ensure_future(store.commit(change(runs[1], events=[log()]))),
            asyncio.ensure_future(store.create_organization(tenant.id, "twice", "twice", NOW)),
            asyncio.ensure_future(store.commit(change(runs[2], events=[log()]))),
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Landed, AlreadyExists, Landed, AlreadyExists, Landed]
    assert (await store.runs(RunFilter(tenant.id))).total == 3


async def test_a_value_that_is_not_json_fails_its_caller(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    with pytest.raises(TypeError):
        await store.commit(change(run, steps=[step(result=Result(object()))]))
    await land(store, change(run))


async def test_any_text_survives(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    text = "\x00 % %s :name 'quoted' \"twice\" \\ ✈ \U0001f6eb"
    result = Result({text: text})
    events = [StepCompleted(NOW, "extract", result)]
    await land(store, change(run, events=events, steps=[step(result=result)]))
    (record,) = await store.steps(tenant.id, run.id)
    assert record.state.result == result


async def test_text_that_the_database_cannot_hold_fails_its_caller(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    async with held_writer(store):
        jobs: list[asyncio.Future[object]] = [
            asyncio.ensure_future(store.create_run(new_run(tenant, concurrency_key="\ud800"))),
            asyncio.ensure_future(store.create_organization(new_id(), "\ud800", "a", NOW)),
            asyncio.ensure_future(store.commit(change(run))),
        ]
        await asyncio.sleep(0)
    refused, refused_too, landed = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(refused, ValueError)
    assert isinstance(refused_too, ValueError)
    assert isinstance(landed, Landed)


async def test_a_waiter_that_gives_up_leaves_the_change(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    async with held_writer(store):
        given_up = asyncio.ensure_future(store.commit(change(run)))
        await asyncio.sleep(0)
        given_up.cancel()
    assert await asyncio.gather(given_up, return_exceptions=True)
    await store.check()
    after = await store.run(tenant.id, run.id)
    assert after is not None
    assert after.version == run.version + 1


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_processes_hear_of_each_others_commits(store: SqlStore, other_store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    while not other_store._db.describe()["listening"]:
        await other_store.check()
    heard: asyncio.Queue[tuple[str, object, object]] = asyncio.Queue()
    mine: list[int] = []
    other_store.on_commit.append(lambda *commit: heard.put_nowait(commit))
    store.on_commit.append(lambda run_id, status, events: mine.append(len(events)))
    await land(store, change(run, events=[log()]))
    commit = await asyncio.wait_for(heard.get(), 10)
    assert commit == (run.id, None, ())
    # Many runs in one transaction are told of in several notifications.
    runs = await asyncio.gather(*(accept(store, tenant) for _ in range(500)))
    told = {run.id}
    while told != {run.id, *(other.id for other in runs)}:
        told.add((await asyncio.wait_for(heard.get(), 10))[0])
    assert mine == [1] * 501  # its own commits it hears of once, with their events


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_two_processes_that_write_the_same_runs_do_not_block_each_other(
    store: SqlStore, other_store: SqlStore, tenant: Tenant
) -> None:
    runs = [await accept(store, tenant) for _ in range(8)]

    async def work(by: SqlStore, number: int) -> int:
        landed = 0
        for i in range(15):
            run = runs[(number + i) % 8]
            current = await by.run(tenant.id, run.id)
            assert current is not None
            outcome = await by.commit(change(run, version=current.version, events=[log()]))
            landed += isinstance(outcome, Landed)
        return landed

    counts = await asyncio.gather(*(work(by, n) for by in (store, other_store) for n in range(8)))
    total = 0
    for run in runs:
        stored = await store.events(run.id)
        assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
        total += len(stored) - 1
    assert total == sum(counts)


async def test_many_writers_on_one_database_are_never_refused(
    store: SqlStore, database_url: str, tenant: Tenant, clock: Clock
) -> None:
    """What others call "database is locked": here each writer waits for its turn."""
    others = [open_store(database_url, clock=clock) for _ in range(7)]
    for other in others:
        await other.open()
    try:
        writers = (store, *others)
        accepted = await asyncio.gather(*(accept(writer, tenant) for writer in writers for _ in range(50)))
        ended = [land(writer, change(run)) for writer, run in zip(writers * 50, accepted, strict=True)]
        assert {landed.version for landed in await asyncio.gather(*ended)} == {2}
    finally:
        for other in others:
            await other.close()
