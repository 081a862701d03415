"""Artifacts over HTTP: lists, and content whole or in parts."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.site import Organization, step
from vai.api.ranges import Part, asked_part, headers_of

LONG = "é<script>" * 20_000


async def made(us: Organization) -> tuple[dict[str, Any], str]:
    """An artifact's step and its id."""
    run = await us.finished(step("a", value=LONG))
    (found,) = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    return found, found["artifactId"]


@pytest.mark.asyncio(loop_scope="module")
async def test_lists_show_whose_artifacts_they_are(us: Organization, them: Organization) -> None:
    (first, one), (_, two) = await made(us), await made(us)
    await made(them)
    page = (await us.get("/artifacts")).json()
    assert [item["id"] for item in page.pop("artifacts")] == [two, one]
    assert page == {"hasNext": False, "limit": 50, "offset": 0, "total": 2}
    page = (await us.get("/artifacts?limit=1&kind=json")).json()
    assert ([item["id"] for item in page["artifacts"]], page["hasNext"], page["total"]) == ([two], True, 2)
    page = (await us.get("/artifacts", params={"action_run_id": first["actionRunId"]})).json()
    (item,) = page["artifacts"]
    assert (item["id"], item["kind"], item["actionRunId"]) == (one, "json", first["actionRunId"])
    assert item == (await us.get(f"/artifacts/{one}")).json()
    for nothing in ("kind=file", f"action_run_id={uuid4()}"):
        assert (await us.get(f"/artifacts?{nothing}")).json()["total"] == 0
    assert (await us.get("/artifacts?limit=1&offset=9")).json()["artifacts"] == []
    for wrong in ("limit=0", "limit=101", "offset=-1", "kind=picture", "action_run_id=x"):
        assert (await us.get(f"/artifacts?{wrong}")).status_code == 422


@pytest.mark.asyncio(loop_scope="module")
async def test_content_comes_whole_or_in_parts_and_is_never_a_page(us: Organization) -> None:
    _, artifact_id = await made(us)
    path = f"/artifacts/{artifact_id}/content"
    whole = await us.get(path)
    assert json.loads(whole.content)["value"] == LONG
    assert whole.headers["content-length"] == str((await us.get(path[:-8])).json()["sizeBytes"])
    assert whole.headers["content-type"] == "application/json"
    assert whole.headers["content-disposition"] == f'attachment; filename="{artifact_id}.json"'
    assert whole.headers["x-content-type-options"] == "nosniff"
    part = await us.get(path, headers={"Range": "bytes=5-9", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(whole.content)}"
    beyond = await us.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    known = await us.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    "asked",
    [
        {"range": "bytes=0-1,3-4"},
        {"range": "bytes=-"},
        {"range": "bytes=4-2"},
        {"range": "lines=1-2"},
        {"range": "bytes=0-1", "if-range": '"another"'},
        {"range": "bytes=" + "9" * 400 + "-"},
        {"if-none-match": '"another"'},
    ],
)
def test_what_is_not_one_range_is_answered_whole(asked: Mapping[str, str]) -> None:
    assert asked_part(10, '"e"', asked) == Part(200, 0, 9)


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_part_is_what_a_slice_is(content: bytes, first: int, last: int) -> None:
    wanted = {f"bytes={first}-": content[first:], f"bytes=-{last}": content[max(0, len(content) - last) :]}
    if first <= last:
        wanted[f"bytes={first}-{last}"] = content[first : last + 1]
    if not last:
        wanted["bytes=-0"] = b""
    for asked, part in wanted.items():
        found = asked_part(len(content), '"e"', {"range": asked})
        assert found.status == (206 if part else 416), asked
        assert content[found.first : found.last + 1] == part, asked
        told = headers_of(found, len(content), '"e"')["Content-Range"]
        shown = f"{found.first}-{found.last}" if part else "*"
        assert told == f"bytes {shown}/{len(content)}"


async def attached(us: Organization, name: str, size: int) -> dict[str, Any]:
    """A file that a step attached, as the API shows it."""
    run = await us.finished(step("a", "attach", name=name, size=size))
    (found,) = (await us.get(f"/automation-runs/{run['id']}/steps")).json()["steps"]
    return dict((await us.get(f"/artifacts/{found['result']['artifactId']}")).json())


@pytest.mark.asyncio(loop_scope="module")
async def test_a_file_is_served_under_its_name_and_hash(us: Organization, them: Organization) -> None:
    size = 1_000_000
    whole = bytes(n % 251 for n in range(size))
    record = await attached(us, 'Bericht "Mai".csv', size)
    digest = hashlib.sha256(whole).hexdigest()
    shown = {name: record[name] for name in ("kind", "sizeBytes", "name", "mediaType", "sha256")}
    assert shown == {
        **{"kind": "file", "sizeBytes": size, "name": 'Bericht "Mai".csv'},
        **{"mediaType": "text/csv", "sha256": digest},
    }
    path = f"/artifacts/{record['id']}/content"
    answer = await us.get(path)
    assert answer.content == whole
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Bericht%20%22Mai%22.csv"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(size)
    for first, last in ((0, 0), (300_000, 800_000), (size - 1, size + 5)):
        part = await us.get(path, headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, whole[first : last + 1])
    assert (await us.get(path, headers={"Range": f"bytes={size}-"})).status_code == 416
    assert (await them.get(path)).status_code == 404
    assert (await them.get(path[:-8])).status_code == 404


@pytest.mark.asyncio(loop_scope="module")
async def test_an_empty_file_is_served_too(us: Organization) -> None:
    record = await attached(us, "empty.bin", 0)
    answer = await us.get(f"/artifacts/{record['id']}/content")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_content_that_was_removed_by_hand_is_not_found(us: Organization) -> None:
    record = await attached(us, "gone.bin", 3)
    folder = us.site.system.settings.data_dir / "artifacts" / us.tenant_id
    (content,) = (path for path in folder.rglob("*") if path.is_file())
    content.unlink()
    answer = await us.get(f"/artifacts/{record['id']}/content")
    assert (answer.status_code, "not where" in answer.json()["detail"]) == (404, True)
