"""Connections of real servers: killed in the middle of a request, and started with another master key."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actions.receiver import Receiver, receiving
from tests.processes.test_several import follow, publish, start
from tests.serving import Server

pytestmark = pytest.mark.process
TOKEN = "t0ken-of-the-crm"
RIGHT, WRONG = (base64.b64encode(letter * 32).decode() for letter in (b"r", b"w"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server
        server.release.set()


def serving(folder: Path, key: str) -> Server:
    server = Server(folder / "data", environment={"VAI_SECRET_KEY": key})
    server.start()
    return server


def test_a_key_is_needed_and_a_killed_request_is_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    definition = {"url": f"http://127.0.0.1:{receiver.port}/me", "connectionRef": "crm"}
    receiver.answer = receiver.hang
    server = serving(tmp_path, RIGHT)
    with server.client() as client:
        new = {"name": "CRM", "provider": "bearer", "credentials": {"token": TOKEN}}
        assert client.post("/connections", json=new).status_code == 201
        automation = publish(client, [{"key": "ask", "kind": "http_request", "definition": definition}])
        run_id = start(client, automation)
        assert receiver.arrived.wait(30)
        server.kill()
    receiver.answer = Receiver().answer
    server = serving(tmp_path, RIGHT)
    with server.client() as client:
        assert follow(client, run_id, "run.completed")
        server.stop()
    assert [request.headers["authorization"] for request in receiver.requests] == [f"Bearer {TOKEN}"] * 2

    server = serving(tmp_path, WRONG)
    try:
        with server.client() as client:
            (connection,) = client.get("/connections").json()["connections"]
            refused = client.post(f"/connections/{connection['id']}/verify")
            assert (refused.status_code, refused.json()["type"]) == (503, "/errors/key-lost")
            failed = follow(client, start(client, automation), "run.failed")
            error = next(event for event in failed if event["type"] == "step.failed")["data"]["error"]
            assert error["type"] == "connection_unreadable"
            assert "VAI_SECRET_KEY" in error["message"]
    finally:
        server.kill()
    everything = json.dumps(failed) + server.log.read_text()
    for secret in (TOKEN, RIGHT, WRONG):
        assert secret not in everything
    assert len(receiver.requests) == 2
