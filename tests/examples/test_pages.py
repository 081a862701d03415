"""The pages of the examples, done as they say; and the pictures show what then happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pictures import PICTURES
from tests.examples.pages import Reader

pytestmark = pytest.mark.process


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody with an empty home."""
    somebody = Reader(tmp_path)
    yield somebody
    somebody.stop()


def test_a_nightly_sync_with_an_approval(reader: Reader) -> None:
    reader.read("docs/examples/nightly.md")
    assert reader.newest()["status"] == "completed"
    assert [reader.states(1)] == list(PICTURES["example-nightly"].attempts)
    told = reader.outputs["python3 inbox.py 9000"].read_text().splitlines()[1:]
    assert told == ["The totals are out: 3 cities, released by admin."]


def test_500_parcels_of_which_two_fail(reader: Reader) -> None:
    reader.read("docs/examples/parcels.md")
    assert reader.newest()["status"] == "completed"
    assert [reader.states(1), reader.states(2)] == list(PICTURES["example-parcels"].attempts)
