"""Contents in a folder and in an object store: copied whole, read in parts, found by age, and removed."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from vai.ports import ContentMissing, Contents, ContentTooLarge
from vai.storage import open_contents
from vai.storage.contents import PIECE

PLACE = "tenant/ab/abc-1"


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    """The address of a server that speaks S3, with credentials for it in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    patch.undo()
    server.stop()


@pytest.fixture(params=["folder", "url of a folder", "object store"])
def contents(request: pytest.FixtureRequest, tmp_path: Path) -> Contents:
    """An empty place for contents."""
    if request.param == "folder":
        return open_contents(None, tmp_path / "artifacts")
    if request.param == "url of a folder":
        return open_contents(f"file://{tmp_path}/shared", tmp_path / "artifacts")
    bucket = uuid4().hex
    boto3.client("s3", endpoint_url=request.getfixturevalue("object_store")).create_bucket(Bucket=bucket)
    return open_contents(f"s3://{bucket}/vai", tmp_path / "artifacts")


def test_what_is_kept_is_read_whole_and_in_parts(contents: Contents) -> None:
    whole = os.urandom(2 * PIECE + 17)
    draft = contents.draft(whole, len(whole))
    assert (draft.size_bytes, draft.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert not contents.has(PLACE)
    contents.keep(draft, PLACE)
    assert contents.has(PLACE)
    assert not draft.path.exists()
    pieces = list(contents.read(PLACE, 0, len(whole) - 1))
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= PIECE, "never more of it in memory"
    for first, last in ((0, 0), (5, 9), (PIECE - 1, PIECE), (len(whole) - 1, len(whole) - 1)):
        assert b"".join(contents.read(PLACE, first, last)) == whole[first : last + 1]


def test_what_is_removed_is_missing_and_removed_again_for_nothing(contents: Contents) -> None:
    contents.keep(contents.draft(b"x", 1), PLACE)
    for _ in range(2):
        contents.remove(PLACE)
        assert not contents.has(PLACE)
    with pytest.raises(ContentMissing):
        list(contents.read(PLACE, 0, 0))


def test_a_sweep_finds_what_is_old_in_one_folder_alone(contents: Contents) -> None:
    assert list(contents.older("tenant", -60)) == []
    for place in (PLACE, "tenant/cd/cde-2", "tenant2/ab/abc-3"):
        contents.keep(contents.draft(b"x", 1), place)
    assert sorted(contents.older("tenant", -60)) == [PLACE, "tenant/cd/cde-2"]
    assert list(contents.older("tenant", 60)) == []


def test_drafts_that_were_left_are_removed_when_they_are_old(contents: Contents) -> None:
    left, young = contents.draft(b"x", 1), contents.draft(b"y", 1)
    long_ago = time.time() - 100
    os.utime(left.path, (long_ago, long_ago))
    contents.tidy(50)
    assert (left.path.exists(), young.path.exists()) == (False, True)


def test_it_can_be_asked_whether_it_can_be_written(contents: Contents) -> None:
    contents.check()
    assert list(contents.older("", -60)) == []


def test_more_than_the_bound_is_not_copied_and_leaves_nothing(contents: Contents, tmp_path: Path) -> None:
    with pytest.raises(ContentTooLarge):
        contents.draft(b"123", 2)
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_links_are_followed_and_only_ordinary_files_are_taken(tmp_path: Path) -> None:
    contents = open_contents(None, tmp_path / "artifacts")
    (tmp_path / "file").write_bytes(b"in the file")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    draft = contents.draft(tmp_path / "link", 100)
    assert draft.path.read_bytes() == b"in the file"
    assert not draft.path.is_symlink()
    os.mkfifo(tmp_path / "pipe")
    for wrong in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises((ValueError, OSError)):
            contents.draft(wrong, 100)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file stands there")
    with pytest.raises(NotADirectoryError):
        open_contents(None, tmp_path / "artifacts").check()


def test_threads_may_keep_at_the_same_moment(tmp_path: Path) -> None:
    contents = open_contents(None, tmp_path / "artifacts")
    barrier = threading.Barrier(8)

    def keep(number: int) -> None:
        barrier.wait()
        contents.keep(contents.draft(b"%d" % number, 1), f"tenant/ab/{number}")

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(contents.older("tenant", -60))) == 8
