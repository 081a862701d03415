"""The log of a process: one JSON object a line, with the run and step it is about, and never a secret."""

import json
import logging
from pathlib import Path

import pytest

from tests.api.site import step
from tests.serving import Server
from vai.ports.current import current_run, current_step
from vai.settings import BadSetting, settings_from
from vai.telemetry.logs import JsonLines, TextLines

ACTIONS = """
import logging
import vai

@vai.action
async def speak(secret: str) -> None:
    logging.getLogger("mine").warning("working\\nwith %s", secret)
"""

KEY = "vai_key_abcdefghijklmnop"


def record(message: str, *args: object, fault: BaseException | None = None) -> logging.LogRecord:
    exc_info = None if fault is None else (type(fault), fault, fault.__traceback__)
    return logging.LogRecord("vai.test", logging.INFO, __file__, 1, message, args, exc_info)


async def test_a_line_is_one_object_with_its_run_and_step() -> None:
    current_run.set("run")
    current_step.set("step")
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        text = JsonLines(str).format(record("said %s", "so", fault=error))
    assert "\n" not in text
    line = json.loads(text)
    assert {name: line[name] for name in ("level", "logger", "message", "runId", "stepKey")} == {
        "level": "info",
        "logger": "vai.test",
        "message": "said so",
        "runId": "run",
        "stepKey": "step",
    }
    assert line["error"].startswith("Traceback")
    assert line["time"].endswith("Z")


def test_a_line_about_nothing_has_no_ids() -> None:
    assert set(json.loads(JsonLines(str).format(record("begun")))) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("lines", [JsonLines, TextLines])
@pytest.mark.parametrize("secret", [KEY, "Bearer abcdefgh12345", "Authorization: Bearer abcdefgh12345", "hush"])
def test_secrets_are_blotted_out(lines: type[logging.Formatter], secret: str) -> None:
    formatter = lines(lambda text: text.replace("hush", "***"))  # type: ignore[call-arg, arg-type]
    try:
        raise ValueError(f"in the fault {secret}")
    except ValueError as error:
        text = formatter.format(record("in the line %s", secret, fault=error))
    assert text.count("***") >= 2
    assert secret.split(" ")[-1] not in text


@pytest.mark.process
def test_a_server_writes_its_log_as_json(tmp_path: Path) -> None:
    (tmp_path / "actions.py").write_text(ACTIONS)
    environment = {"VAI_LOG_FORMAT": "json"}
    server = Server(tmp_path / "data", ["--actions", str(tmp_path / "actions.py")], environment=environment)
    server.start()
    try:
        with server.client() as client:
            steps = [step("a", "speak", secret=f"postgres://me:hush@host {KEY}")]
            made = client.post("/automations", json={"name": "spoken", "config": {"steps": steps}}).json()
            client.post(f"/automations/{made['id']}/versions/1/publish")
            run = client.post(f"/automations/{made['id']}/runs", json={}).json()
            client.get(f"/automation-runs/{run['id']}/events")
    finally:
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    said = next(line for line in lines if line["logger"] == "mine")
    assert said["message"] == "working\nwith postgres://me:***@host ***"
    assert (said["runId"], said["stepKey"]) == (run["id"], "a")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(BadSetting, match="VAI_LOG_FORMAT must be one of text, json"):
        settings_from({"VAI_LOG_FORMAT": "xml"})
    assert settings_from({"VAI_LOG_FORMAT": "JSON"}).log_format == "json"
