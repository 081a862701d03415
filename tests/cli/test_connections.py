"""`vai connections` and `vai keys` against a real server."""

import base64
import json

import pytest

from tests.cli.server import Vai

pytestmark = pytest.mark.process
SECRET = "s3cret-of-the-crm"


def test_credentials_go_in_by_file_or_stdin_and_never_come_out(vai: Vai, name: str) -> None:
    (vai.folder / "crm.json").write_text(json.dumps({"token": SECRET}))
    made = vai("connections", "create", name, "--provider", "bearer", "--slug", name, "--credentials", "crm.json")
    assert made.returncode == 0, made.stderr
    assert "token" in made.stdout
    changed = vai("connections", "update", name, "--credentials", "-", text=json.dumps({"apiKey": SECRET}))
    assert changed.returncode == 0, changed.stderr
    listed, shown = vai("connections", "list", "--json"), vai("connections", "get", name, "--json")
    assert json.loads(shown.stdout)["credentialFields"] == ["apiKey"]
    for said in (made, changed, listed, shown):
        assert SECRET not in said.stdout + said.stderr
    assert "testUrl" in vai("connections", "verify", name).stdout
    rotated = vai("keys", "rotate", "--json", VAI_SECRET_KEY="")
    assert (rotated.returncode, json.loads(rotated.stdout)) == (0, {"rotated": 0})
    assert vai("connections", "delete", name, "--yes").returncode == 0
    assert vai("connections", "get", name).returncode == 1


def test_a_wrong_key_is_told_by_rotate(vai: Vai, name: str) -> None:
    text = json.dumps({"token": SECRET})
    made = vai("connections", "create", name, "--provider", "bearer", "--slug", name, "--credentials", "-", text=text)
    assert made.returncode == 0, made.stderr
    wrong = base64.b64encode(b"w" * 32).decode()
    refused = vai("keys", "rotate", VAI_SECRET_KEY=wrong)
    assert refused.returncode == 1
    assert "nothing was changed" in " ".join(refused.stderr.split())
    assert wrong not in refused.stderr


def test_a_secret_is_not_taken_from_the_command_line(vai: Vai, name: str) -> None:
    given = vai("connections", "create", name, "--provider", "bearer", "--credentials", '{"token": "x"}')
    assert given.returncode == 2
    assert "There is no file" in given.stderr
