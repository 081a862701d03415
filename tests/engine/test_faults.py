"""What goes wrong around an engine, at moments that only a test can choose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import OpenWorld, World
from vai.domain import commands as c
from vai.domain.graph import Graph
from vai.domain.status import OnInterrupt, RunStatus
from vai.ports import Outcome, RunChange, StoreUnavailable
from vai.runs import Definitions


@pytest.mark.parametrize("how, status", [("log", "completed"), ("progress", "completed"), ("error", "failed")])
async def test_what_cannot_be_written_as_it_was_said_is_written_with_a_mark_in_its_place(
    world: World, how: str, status: str
) -> None:
    run_id = await world.start([{"key": "a", "kind": "say", "definition": {"how": how}}])
    assert (await world.end(run_id)).status == status
    step = await world.step(run_id, "a")
    assert step.tries == 1
    said = [event.data for event in await world.runs.events(world.who, run_id, 0, 100)]
    assert any("caf?" in data for data in said)


@pytest.mark.parametrize(
    "how, error, details", [("failed", "caf?", {"file": "caf?", "handle": "object"}), ("silent", "Unspeakable", {})]
)
async def test_an_error_is_told_whatever_its_author_made_of_it(
    world: World, how: str, error: str, details: dict[str, Any]
) -> None:
    run_id = await world.start([{"key": "a", "kind": "say", "definition": {"how": how}}])
    assert (await world.end(run_id)).status is RunStatus.FAILED
    told = (await world.step(run_id, "a")).error
    assert (told.type, told.message, told.details) == (error, error, details)


async def test_an_engine_that_cannot_begin_anew_at_once_tries_again(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(renew_seconds=0.05) as world, open_world(engine=False) as other:
        register, refused = world.store.register_engine, asyncio.Event()

        async def refuse_once(engine_id: str, lease_seconds: float) -> None:
            if not refused.is_set():
                refused.set()
                raise StoreUnavailable("The connection was lost.")
            await register(engine_id, lease_seconds)

        monkeypatch.setattr(world.store, "register_engine", refuse_once)
        await world.store.retire_engine(world.engine.id)  # as one does that takes it for dead
        await refused.wait()
        run_id = await other.start([{"key": "a", "kind": "noop"}])
        assert (await world.end(run_id)).status is RunStatus.COMPLETED


async def test_a_step_that_others_set_free_just_before_its_run_is_put_down_is_not_interrupted(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit that would have put the run down meets a decision that has landed: the run goes on."""
    graph_of = Definitions.graph

    def asking(self: Definitions, version_id: str, config: Any) -> Graph:
        graph = graph_of(self, version_id, config)
        x = msgspec.structs.replace(graph.steps["x"], on_interrupt=OnInterrupt.ASK)
        return msgspec.structs.replace(graph, steps={**graph.steps, "x": x})

    monkeypatch.setattr(Definitions, "graph", asking)
    tell = {"kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 0.2}}
    async with open_world(engine=False) as door, open_world() as first:
        run_id = await door.start([{"key": "x", **tell}, {"key": "y", **tell}])
        await first.until(run_id, lambda event: event.step_key == "y")
        await first.engine.stop(drain_seconds=0)
        assert "step.interrupted x" in await first.types(run_id)
    async with open_world() as world:
        commit, decided = world.store.commit, asyncio.Event()

        async def commit_after_the_decision(change: RunChange) -> Outcome:
            if change.release and not decided.is_set():
                decided.set()
                asked = change.state.steps["x"].decision_id
                assert asked is not None
                await world.door.apply(run_id, c.Decide("x", asked, approved=False))
            return await commit(change)

        monkeypatch.setattr(world.store, "commit", commit_after_the_decision)
        assert (await world.end(run_id)).status is RunStatus.COMPLETED
        assert decided.is_set()
        types = await world.types(run_id)
        assert types.count("step.interrupted x") == 1
        assert types.count("step.started x") == 2


async def test_an_action_that_swallows_its_cancellation_does_not_keep_the_engine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vai.engine.driver._LAST_SECONDS", 0.05)
    run_id = await world.start([{"key": "a", "kind": "immortal"}])
    await world.until(run_id, lambda event: event.step_key == "a")
    async with asyncio.timeout(5):
        await world.engine.stop(drain_seconds=0)
    assert (await world.types(run_id))[-1] == "step.interrupted a"


async def test_a_claim_under_way_while_the_engine_is_stopped_begins_nothing(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = {"kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 0.3}}
    async with open_world(engine=False) as door, open_world() as world:
        claim, claimed, stopping = world.store.claim, asyncio.Event(), asyncio.Event()

        async def answer_late(*asked: Any) -> Sequence[str]:
            runs = await claim(*asked)
            if runs:
                claimed.set()
                await stopping.wait()
            return runs

        at_work = await world.start([{"key": "a", **work}])
        await world.until(at_work, lambda event: event.step_key == "a")
        monkeypatch.setattr(world.store, "claim", answer_late)
        late = await door.start([{"key": "a", **work}])
        await claimed.wait()
        stop = asyncio.create_task(world.engine.stop(drain_seconds=5))
        await asyncio.sleep(0)
        stopping.set()
        await stop
        assert (await world.types(at_work))[-1] == "run.completed"
        assert await world.types(late) == ["run.created"]
        await world.store.register_engine("next", 60)
        assert await world.store.claim_run("next", late)
