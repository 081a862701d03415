"""`vai events` against a real server."""

import json

import pytest

from tests.cli.server import Vai

pytestmark = pytest.mark.process


def test_an_event_is_told_and_found_again(vai: Vai, name: str) -> None:
    event_type = f"order.{name.replace('-', '_')}"
    made = vai("events", "post", event_type, "--payload", '{"order": 7}', "--key", name)
    assert made.returncode == 0, made.stderr
    again = json.loads(vai("events", "post", event_type, "-p", '{"order": 7}', "--key", name, "--json").stdout)
    assert again["id"] in made.stdout
    listed = json.loads(vai("events", "list", "--type", event_type, "--json").stdout)
    assert [event["id"] for event in listed["events"]] == [again["id"]]
    assert event_type in vai("events", "list", "--correlation", again["id"]).stdout
    assert json.loads(vai("events", "get", again["id"]).stdout) == again
    assert event_type in vai("events", "count").stdout


def test_what_cannot_be_told(vai: Vai) -> None:
    reserved = vai("events", "post", "automation.completed")
    assert (reserved.returncode, "the engine's own" in " ".join(reserved.stderr.split())) == (1, True)
    assert vai("events", "post", "order.paid", "--payload", "{").returncode == 2
    assert vai("events", "get", "01890a5d-ac96-774b-bcce-b302099a8057").returncode == 1
