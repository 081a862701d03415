"""Whole results and attached files, whoever drives the run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.behaviour.shapes import step
from tests.engine.conftest import World
from vai.domain.status import RunStatus
from vai.ports import ArtifactFilter, ArtifactRecord


async def attached(world: World, run_id: str, key: str) -> dict[str | None, ArtifactRecord]:
    """The files of a step by their names."""
    state = await world.step(run_id, key)
    page = await world.runs.artifacts(ArtifactFilter(world.who.tenant_id, state.action_run_id, "file"))
    return {record.name: record for record in page.items}


def files_of(world: World) -> list[Path]:
    return [path for path in Path(world.contents.root).rglob("*") if path.is_file()]


def looks(what: str) -> dict[str, Any]:
    return step("look", "add", definition={"a": f"{{{{ {what} }}}}", "b": 0})


async def test_expressions_see_the_whole_result_and_not_its_preview(world: World) -> None:
    rows = [{"n": n, "text": "x" * 50} for n in range(2_000)]
    look = looks("size(steps.large.result.value) + steps.large.result.value[1999].n")
    run_id = await world.start([step("large", "rows", definition={"rows": rows}), look])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert (await world.step(run_id, "large")).result.truncated
    assert (await world.step(run_id, "look")).result.value == {"value": 3_999}


async def test_a_file_is_kept_and_the_result_may_name_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("a,b\n" * 1000)
    attach = step("attach", "attach", definition={"name": "report.csv", "path": str(tmp_path / "report.csv")})
    run_id = await world.start([attach, looks("steps.attach.result.sizeBytes")])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    (record,) = (await attached(world, run_id, "attach")).values()
    whole = ("a,b\n" * 1000).encode()
    assert (await world.step(run_id, "attach")).result.value == {
        "artifactId": record.id,
        "name": "report.csv",
        "mediaType": "text/csv",
        "sizeBytes": 4_000,
        "sha256": hashlib.sha256(whole).hexdigest(),
    }
    assert await world.content(record.id) == whole
    assert (await world.step(run_id, "look")).result.value == {"value": 4_000}


async def test_child_processes_threads_and_coroutines_attach_too(world: World, tmp_path: Path) -> None:
    process = step("process", "attach_in_a_process", definition={"folder": str(tmp_path)})
    run_id = await world.start([process, step("coroutine", "attach_async")])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    found = await attached(world, run_id, "process")
    assert sorted(name or "" for name in found) == ["0.txt", "1.txt", "2.txt", "3.txt", "a.bin"]
    assert await world.content(found["a.bin"].id) == b"from bytes"
    assert {await world.content(found[f"{n}.txt"].id) for n in range(4)} == {b"from a file"}
    assert len({found[f"{n}.txt"].place for n in range(4)}) <= 4
    (record,) = (await attached(world, run_id, "coroutine")).values()
    assert (record.name, await world.content(record.id)) == ("Bericht für Mai.csv", b"async")


async def test_what_a_failed_try_attached_stays_until_a_later_one_replaces_it(world: World) -> None:
    retry = {"maxAttempts": 3, "initialSeconds": 0.01, "jitter": False}
    run_id = await world.start([step("one", "attach_and_fail", retry=retry)])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    found = await attached(world, run_id, "one")
    assert sorted(name or "" for name in found) == ["1.txt", "2.txt", "3.txt", "log.txt"]
    assert await world.content(found["log.txt"].id) == b"try 3"
    assert len({found[f"{n}.txt"].place for n in (1, 2, 3)}) == 1, "the same content is there once"
    await world.attachments.remove_unnamed()
    kept = {path.name for path in files_of(world)}
    assert kept == {str(record.place).rsplit("/", 1)[1] for record in found.values()}


async def test_what_cannot_be_attached_fails_the_step_and_says_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    wrong = (
        {"name": "a/b", "text": ""},
        {"name": "x", "path": str(tmp_path / "a folder")},
        {"name": "x", "path": "none"},
    )
    for definition in wrong:
        run_id = await world.start([step("one", "attach", definition=definition)])
        assert (await world.end(run_id)).status is RunStatus.FAILED
        assert (await world.step(run_id, "one")).error.type == "bad_attachment"
    assert not files_of(world)
