"""`vai triggers` against a real server."""

import json

import pytest

from tests.cli.server import Vai

pytestmark = pytest.mark.process

CONFIG = """
triggers:
  - {type: schedule, schedule: "0 0 1 1 *"}
  - {type: schedule, key: may, schedule: "0 0 1 5 *"}
  - {type: webhook, key: paid, path: NAME/paid, signature: none}
steps: []
"""


def test_triggers_are_listed_held_and_let_go_on(vai: Vai, name: str) -> None:
    (vai.folder / f"{name}.yaml").write_text(CONFIG.replace("NAME", name))
    applied = vai("automations", "apply", f"{name}.yaml", "--publish")
    assert applied.returncode == 0, applied.stderr
    listed = json.loads(vai("triggers", "list", name, "--json").stdout)
    assert [one["key"] for one in listed["items"]] == ["may", "paid", "schedule"]
    assert "may" in vai("triggers", "list", name).stdout
    assert json.loads(vai("triggers", "pause", f"{name}/may", "--json").stdout)["paused"] is True
    assert "paused" in vai("triggers", "show", listed["items"][0]["id"]).stdout
    assert json.loads(vai("triggers", "resume", f"{name}/may", "--json").stdout)["paused"] is False
    due = json.loads(vai("triggers", "next", f"{name}/may", "-n", "2", "--json").stdout)["nextRuns"]
    assert [one[4:] for one in due] == ["-05-01T00:00:00.000Z"] * 2
    assert due[0] in vai("triggers", "next", f"{name}/may").stdout
    hook = json.loads(vai("triggers", "show", f"{name}/paid", "--json").stdout)
    assert hook["url"] == f"/webhooks/{hook['tenantId']}/{name}/paid"
    assert hook["url"] in "".join(vai("triggers", "show", f"{name}/paid").stdout.split())
    unclear = vai("triggers", "show", name)
    assert unclear.returncode == 1
    assert "may, paid, schedule" in unclear.stderr
