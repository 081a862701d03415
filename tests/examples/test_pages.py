"""The pages of the examples, done as they say; and the pictures show what then happened."""

import json
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
    assert reader.runs()[0]["status"] == "completed"
    assert [reader.states(1)] == list(PICTURES["example-nightly"].attempts)
    told = reader.outputs["python3 inbox.py 9000"].read_text().splitlines()[1:]
    assert told == ["The totals are out: 3 cities, released by admin."]


def test_500_parcels_of_which_two_fail(reader: Reader) -> None:
    reader.read("docs/examples/parcels.md")
    assert reader.runs()[0]["status"] == "completed"
    assert [reader.states(1), reader.states(2)] == list(PICTURES["example-parcels"].attempts)


def test_an_agent_with_a_tool_and_a_human_check(reader: Reader) -> None:
    reader.read("docs/examples/reviews.md")
    rejected, *completed = reader.runs()
    assert (rejected["status"], rejected["error"]["failedSteps"]) == ("failed", ["check"])
    assert [reader.states(1, run) for run in completed] == 2 * list(PICTURES["example-reviews"].attempts)
    filed = [json.loads(line) for line in reader.outputs["python3 shop.py 9003"].read_text().splitlines()[1:]]
    assert [(one["product"], one["content"], one["checkedBy"]) for one in filed] == [
        ("cups", True, "admin"),
        ("tea", True, "admin"),
    ]
    asked = reader.outputs["python3 model.py 9002"].read_text()
    assert asked.count("calls list_products") == asked.count("calls final_result") == 3
    assert "sk-example" not in json.dumps([reader.events(run) for run in reader.runs()])


def test_a_webhook_order_flow_with_branches(reader: Reader) -> None:
    reader.read("docs/examples/orders.md")
    runs = reader.runs()
    assert [(run["status"], run["triggerType"]) for run in runs] == 3 * [("completed", "webhook")]
    assert [reader.states(1)] == list(PICTURES["example-orders"].attempts)
    done = reader.outputs["python3 shop.py 9004"].read_text().splitlines()[1:]
    assert done == [
        '/shipments {"order": 1, "insured": false}',
        '/books {"order": 1, "way": "plain"}',
        '/mails {"order": 2, "text": "sold out"}',
        '/books {"order": 2, "way": "sold out"}',
        '/shipments {"order": 3, "insured": true}',
        '/books {"order": 3, "way": "dear"}',
    ]
