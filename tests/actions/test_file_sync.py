"""`file_sync` between real folders, and from a real HTTP server on loopback."""

import asyncio
import contextlib
import errno
import functools
import os
import signal
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from tests.actions.context import Context
from tests.actions.receiver import Answer, receiving
from tests.actions.sftp_server import PASSWORD, USER, sftp
from tests.small_disk import may_mount, small_disk
from vai.actions.file_sync_child import explained, is_newer
from vai.actions.file_sync_places import is_safe
from vai.ports import ActionFailed, Actions, ActionStopped, Connection

pytestmark = pytest.mark.process


def make(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("a")
    (folder / "sub" / "b.csv").write_text("bb")
    (folder / "sub" / "deep" / "c.txt").write_text("ccc")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


async def sync(kinds: Actions, context: Context, source: Any, destination: Any, **more: Any) -> Any:
    action = kinds.get("file_sync")
    assert action is not None
    return await action.run({"source": str(source), "destination": str(destination), **more}, context)


async def refused(kinds: Actions, context: Context, source: Any, destination: Any, **more: Any) -> Any:
    with pytest.raises(ActionFailed) as caught:
        await sync(kinds, context, source, destination, **more)
    return caught.value.error


def leftovers(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if word in path.name]


def content(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


async def test_only_what_differs_is_copied(kinds: Actions, context: Context, here: Path, there: Path) -> None:
    result = await sync(kinds, context, here, there)
    assert (result["copied"], result["unchanged"], result["bytes"]) == (3, 0, 6)
    assert content(there) == content(here)
    assert context.told[-1] == {"phase": "copying", "done": 3, "total": 3, "bytes": 6}
    again = await sync(kinds, context, here, there)
    assert (again["copied"], again["unchanged"], again["changes"]) == (0, 3, [])
    (here / "a.csv").write_text("longer")
    (there / "kept.txt").write_text("kept")
    os.utime(here / "sub" / "b.csv", (4_000_000_000, 4_000_000_000))
    last = await sync(kinds, context, here, there)
    assert {change["path"] for change in last["changes"]} == {"a.csv", "sub/b.csv"}
    assert content(there) == {**content(here), "kept.txt": "kept"}


async def test_copy_takes_all_and_a_checksum_what_is_really_other(
    kinds: Actions, context: Context, here: Path, there: Path
) -> None:
    await sync(kinds, context, here, there)
    assert (await sync(kinds, context, here, there, mode="copy"))["copied"] == 3
    (there / "a.csv").write_text("x")  # as long, and newer
    assert (await sync(kinds, context, here, there))["copied"] == 0
    result = await sync(kinds, context, here, there, compare="checksum")
    assert result["changes"] == [{"path": "a.csv", "change": "changed", "bytes": 1}]
    assert (there / "a.csv").read_text() == "a"


async def test_a_mirror_deletes_what_is_gone_and_only_what_is_asked_for(
    kinds: Actions, context: Context, here: Path, there: Path
) -> None:
    make(there, {"gone.csv": "gone", "other.md": "other"})
    error = await refused(kinds, context, here, there, mode="mirror", maxDeletes=1)
    assert error.type == "too_many_deletes"
    assert content(there) == {"gone.csv": "gone", "other.md": "other"}
    planned = await sync(kinds, context, here, there, mode="mirror", include=["**/*.csv"], dryRun=True)
    assert (planned["copied"], planned["deleted"], planned["bytes"]) == (2, 1, 3)
    assert content(there) == {"gone.csv": "gone", "other.md": "other"}
    done = await sync(kinds, context, here, there, mode="mirror", include=["**/*.csv"])
    assert {**planned, "dryRun": False} == done
    assert content(there) == {"a.csv": "a", "sub/b.csv": "bb", "other.md": "other"}


@pytest.mark.parametrize(
    "patterns, wanted",
    [
        ({"include": ["*.csv"]}, {"a.csv"}),
        ({"include": ["**/*.csv"]}, {"a.csv", "sub/b.csv"}),
        ({"exclude": ["sub/**"]}, {"a.csv"}),
        ({"include": ["**/*.csv", "**/*.txt"], "exclude": ["**/b.*"]}, {"a.csv", "sub/deep/c.txt"}),
    ],
)
async def test_patterns(
    kinds: Actions, context: Context, here: Path, there: Path, patterns: Any, wanted: set[str]
) -> None:
    result = await sync(kinds, context, here, there, dryRun=True, **patterns)
    assert {change["path"] for change in result["changes"]} == wanted


async def test_one_file_goes_into_the_folder(kinds: Actions, context: Context, here: Path, there: Path) -> None:
    await sync(kinds, context, here / "sub" / "b.csv", there)
    assert content(there) == {"b.csv": "bb"}


async def test_links_lead_neither_round_in_circles_nor_out(
    kinds: Actions, context: Context, here: Path, there: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (here / "loop").symlink_to(here)
    (here / "out").symlink_to(tmp_path / "secret" / "key")
    (here / "within").symlink_to(here / "a.csv")
    result = await sync(kinds, context, here, there)
    assert (result["copied"], result["skipped"]) == (4, 2)
    assert set(content(there)) == {"a.csv", "within", "sub/b.csv", "sub/deep/c.txt"}
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "sub").symlink_to(tmp_path / "secret")
    error = await refused(kinds, context, here, tmp_path / "trap")
    assert error.type == "unsafe_path"
    assert content(tmp_path / "secret") == {"key": "secret"}
    assert [path.name for path in (tmp_path / "trap").iterdir()] == ["sub"]


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a//b", "a\\..\\x", "", "a\0b"])
def test_a_name_that_leads_elsewhere_is_not_safe(path: str) -> None:
    assert is_safe("a/b..c/d")
    assert not is_safe(path)


async def test_limits_are_told_before_anything_is_written(
    kinds: Actions, context: Context, here: Path, there: Path
) -> None:
    assert (await refused(kinds, context, here, there, maxFiles=2)).type == "too_many_files"
    assert (await refused(kinds, context, here, there, maxBytes=5)).type == "too_many_bytes"
    assert content(there) == {}
    result = await sync(kinds, context, here, there, maxChanges=1, dryRun=True)
    assert (len(result["changes"]), result["changesTruncated"]) == (1, True)


async def test_what_cannot_be(kinds: Actions, context: Context, here: Path, there: Path) -> None:
    assert (await refused(kinds, context, here / "none", there)).type == "file_not_found"
    assert (await refused(kinds, context, here, here / "sub")).type == "invalid_definition"
    error = await refused(kinds, context, "sftp://user:pass-7731@127.0.0.1:1/y", there)
    assert error.type == "transfer_failed"
    assert "pass-7731" not in repr(error) + context.everything


async def test_cancel_leaves_no_half_file(kinds: Actions, here: Path, there: Path) -> None:
    context = Context(grace_seconds=300)  # so that being killed is no way out
    os.mkfifo(here / "pipe")  # no file: skipped
    with (here / "big").open("wb") as big:
        big.truncate(64 << 30)  # a hole: large to copy, small on the disk
    task = asyncio.create_task(sync(kinds, context, here, there, maxChanges=0))
    await context.until_told(lambda fields: fields.get("bytes", 0) > 1 << 20)
    context.cancel()
    with pytest.raises(ActionStopped):
        await task
    assert leftovers(there, "big") == leftovers(there, ".vai-part") == []


async def test_killed_in_the_middle_shows_no_half_file_and_goes_on(
    kinds: Actions, context: Context, here: Path, there: Path
) -> None:
    await sync(kinds, context, here, there)
    before = children()
    with (here / "sub" / "big.bin").open("wb") as big:
        big.truncate(64 << 30)
    task = asyncio.create_task(sync(kinds, context, here, there))
    await context.until_told(lambda fields: fields.get("bytes", 0) > 1 << 20)
    (child,) = children() - before
    os.kill(child, signal.SIGKILL)
    with pytest.raises(ActionFailed) as caught:
        await task
    assert (caught.value.error.type, caught.value.error.retryable) == ("process_died", True)
    assert not (there / "sub" / "big.bin").exists()
    (half,) = (there / "sub").glob(".*.vai-part")
    assert half.stat().st_size > 0
    (here / "sub" / "big.bin").write_text("small by now")
    again = await sync(kinds, context, here, there)
    assert (again["copied"], again["unchanged"]) == (1, 3)
    assert content(there) == content(here)


def children() -> set[int]:
    """The processes that this one started."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@pytest.mark.parametrize(
    "time, other, newer", [(5.7, 5.0, False), (6.0, 5.0, True), (5.7, 5.6, True), (5.6, 5.6, False), (4.0, 5.5, False)]
)
def test_a_place_may_know_seconds_alone(time: float, other: float, newer: bool) -> None:
    assert is_newer(time, other) is newer


@pytest.mark.parametrize(
    "number, error_type, retryable",
    [(errno.ENOSPC, "disk_full", True), (errno.EDQUOT, "disk_full", True), (errno.EACCES, "permission_denied", False)],
)
def test_what_the_system_says_is_told_in_words(number: int, error_type: str, retryable: bool) -> None:
    error = explained(OSError(number, os.strerror(number)), {"copied": 3}).error
    assert (error.type, error.retryable, error.details) == (error_type, retryable, {"copied": 3})


@pytest.mark.skipif(not may_mount(), reason="mounting a file system is not allowed here")
async def test_a_full_disk_is_told_and_room_on_it_is_all_it_takes(
    kinds: Actions, context: Context, here: Path, there: Path
) -> None:
    (here / "large").write_bytes(b"x" * (3 << 20))
    with small_disk(there, 8) as disk:
        disk.fill()
        assert (await refused(kinds, context, here, there)).type == "disk_full"
        assert set(content(there)) == {"filler"}
        disk.make_room()
        await sync(kinds, context, here, there)
        assert content(there) == content(here)


def connected(provider: str, config: Any, credentials: Any) -> Context:
    return Context(connections=[("place", Connection("c-1", "place", provider, config, credentials))])


async def test_to_s3_and_back(kinds: Actions, here: Path, there: Path) -> None:
    with s3() as (address, bucket):
        credentials = {"key": "testing", "secret": "s3cret-8842"}
        context = connected("s3", {"endpoint_url": address, "client_kwargs": {"region_name": "us-east-1"}}, credentials)
        to, back = {"destinationConnectionRef": "place"}, {"sourceConnectionRef": "place"}
        (here / "empty").touch()
        result = await sync(kinds, context, here, f"s3://{bucket}/landing", **to)
        assert (result["copied"], result["bytes"]) == (4, 6)
        again = await sync(kinds, context, here, f"s3://{bucket}/landing", **to)
        assert (again["copied"], again["unchanged"]) == (0, 4)
        (here / "a.csv").unlink()
        mirrored = await sync(kinds, context, here, f"s3://{bucket}/landing", mode="mirror", **to)
        assert mirrored["changes"] == [{"path": "a.csv", "change": "deleted", "bytes": 1}]
        await sync(kinds, context, f"s3://{bucket}/landing", there, **back)
        assert content(there) == content(here)
        await sync(kinds, context, f"s3://{bucket}/landing/sub/b.csv", there, **back)
        assert (there / "b.csv").read_text() == "bb"
        put(address, bucket, "bad/../../out.txt")
        error = await refused(kinds, context, f"s3://{bucket}/bad", there, **back)
        assert error.type == "unsafe_path"
        error = await refused(kinds, context, f"s3://{bucket}/none", there, **back)
        assert error.type == "file_not_found"
    assert not (there.parent / "out.txt").exists()
    assert "s3cret-8842" not in context.everything


@contextlib.contextmanager
def s3() -> Iterator[tuple[str, str]]:
    """A server that speaks S3, and a bucket in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        assert httpx.put(f"{address}/bucket-1").status_code == 200
        yield address, "bucket-1"
    finally:
        server.stop()


def put(address: str, bucket: str, key: str) -> None:
    filesystem = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=address, skip_instance_cache=True)
    filesystem.call_s3("put_object", Bucket=bucket, Key=key, Body=b"x")


async def test_to_a_server_by_sftp_and_back(kinds: Actions, here: Path, there: Path, tmp_path: Path) -> None:
    make(tmp_path / "remote", {})
    with sftp(tmp_path / "remote") as (port, key):
        context = connected("sftp", {"port": port, "hostKey": key}, {"username": USER, "password": PASSWORD})
        to, back = {"destinationConnectionRef": "place"}, {"sourceConnectionRef": "place"}
        assert (await sync(kinds, context, here, "sftp://127.0.0.1/in", **to))["copied"] == 3
        assert content(tmp_path / "remote" / "in") == content(here)
        (here / "a.csv").write_text("changed")
        again = await sync(kinds, context, here, "sftp://127.0.0.1/in", mode="mirror", exclude=["**/*.txt"], **to)
        assert (again["copied"], again["unchanged"], again["deleted"]) == (1, 1, 0)
        await sync(kinds, context, "sftp://127.0.0.1/in", there, **back)
        assert content(there) == content(here)
        (here / "a.csv").unlink()
        assert (await sync(kinds, context, here, "sftp://127.0.0.1/in", mode="mirror", **to))["deleted"] == 1
        assert content(tmp_path / "remote" / "in") == content(here)
        other = connected("sftp", {"port": port, "hostKey": "ssh-rsa AAAA"}, {"username": USER, "password": PASSWORD})
        assert (await refused(kinds, other, here, "sftp://127.0.0.1/in", **to)).type == "unknown_host"
    assert PASSWORD not in context.everything


async def test_an_http_server_is_signed_in_to(kinds: Actions, here: Path, there: Path) -> None:
    with receiving() as receiver:
        receiver.answer = lambda request: Answer(body=b"data")
        config = {"baseUrl": f"http://127.0.0.1:{receiver.port}"}
        context = connected("bearer", config, {"token": "t0ken-8842"})
        await sync(kinds, context, f"{config['baseUrl']}/f.csv", there, sourceConnectionRef="place")
        assert {request.headers.get("authorization") for request in receiver.requests} == {"Bearer t0ken-8842"}
        error = await refused(kinds, context, "http://localhost:1/f.csv", there, sourceConnectionRef="place")
        assert error.type == "invalid_definition"
    assert content(there) == {"f.csv": "data"}
    assert "t0ken-8842" not in context.everything


async def test_a_redirect_does_not_take_the_key_along(kinds: Actions, here: Path, there: Path) -> None:
    with receiving() as receiver, receiving() as other:
        away = f"http://127.0.0.1:{other.port}/f.csv"
        receiver.answer = lambda request: Answer(302, body=b"moved", headers={"Location": away})
        context = connected("api_key", {}, {"apiKey": "k3y-8842"})
        source = f"http://127.0.0.1:{receiver.port}/f.csv"
        error = await refused(kinds, context, source, there, sourceConnectionRef="place")
        assert error.type == "http_3xx"
        assert other.requests == []
    assert content(there) == {}


@contextlib.contextmanager
def http_server(folder: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_from_an_http_server(kinds: Actions, context: Context, here: Path, there: Path) -> None:
    with http_server(here) as address:
        await sync(kinds, context, f"{address}/", there)
        assert content(there) == content(here)
        again = await sync(kinds, context, f"{address}/", there)
        assert (again["copied"], again["unchanged"]) == (0, 3)
        await sync(kinds, context, f"{address}/sub/b.csv", there)
        assert (there / "b.csv").read_text() == "bb"
        assert (await refused(kinds, context, f"{address}/none.csv", there)).type == "file_not_found"


@pytest.mark.parametrize(
    "more, loc",
    [
        ({"mode": "move"}, ("mode",)),
        ({"parallel": 0}, ("parallel",)),
        ({"includes": []}, ("includes",)),
        ({"source": "simplecache::file:///etc"}, ("source",)),
        ({"destination": "https://127.0.0.1/"}, ("destination",)),
    ],
)
def test_what_is_wrong_is_told_when_it_is_stored(kinds: Actions, more: Any, loc: Any) -> None:
    action = kinds.get("file_sync")
    assert action is not None
    assert action.check({"source": "{{ input.a }}", "destination": "b"}) == ()
    (fault,) = action.check({"source": "a", "destination": "b"} | more)
    assert fault.loc == loc
