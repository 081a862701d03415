"""A real server, and the command as a real process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from vai.cli.automations_apply import apply_file
from vai.cli.client import Api
from vai.cli.connection import Connection
from vai.cli.files import read_definition
from vai.cli.follow import Follow

VAI = [sys.executable, "-c", "from vai.cli import main; main()"]

ACTIONS = '''
import pathlib
import time

import vai


@vai.action
def work(context: vai.Context, rows: int = 0, fail: str = ""):
    """Count rows, or fail."""
    context.logger.info("working on %d rows", rows)
    context.progress(phase="working", rows=rows)
    if fail:
        raise ValueError(fail)
    return {"rows": rows}


@vai.action
def large(length: int):
    """Answer with a long text."""
    return "x" * length


@vai.action
def gate(context: vai.Context, path: str):
    """Wait until a file is there."""
    while not pathlib.Path(path).exists():
        if context.cancelled:
            raise RuntimeError("stopped")
        time.sleep(0.02)
    return {"rows": 1}
'''

ERROR = "three flights have no tail number, and the report needs one for each and every flight of the year"

FLIGHTS = """
description: Extract, check and report the flights
steps:
  - {key: extract, name: Extract flights, kind: work, definition: {rows: 336776}}
  - {key: check, kind: work, dependsOn: [extract]}
  - {key: report, kind: work, dependsOn: [check]}
"""

BROKEN = f"""
steps:
  - {{key: extract, name: Extract flights, kind: work, definition: {{rows: 336776}}}}
  - {{key: check, kind: work, definition: {{fail: "{ERROR}"}}, dependsOn: [extract]}}
  - {{key: report, kind: work, dependsOn: [check]}}
"""

LARGE = """
steps:
  - {key: large, kind: large, definition: {length: 200000}}
"""

GATED = """
inputs: {type: object, required: [path], properties: {path: {type: string}}}
steps:
  - {key: gate, kind: gate, definition: {path: "{{ input.path }}"}}
"""


def environment(data_dir: Path, columns: int | None = None, **more: str) -> dict[str, str]:
    """An environment in which nothing of the caller's own vai is seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAI_", "COLUMNS"))}
    wide = {} if columns is None else {"COLUMNS": str(columns)}
    return {**kept, "VAI_DATA_DIR": str(data_dir), "TERM": "xterm-256color", **wide, **more}


class Server:
    """A `vai serve` of a data folder of its own, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.actions = folder / "actions.py"
        self.actions.write_text(ACTIONS)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it serves."""
        command = [*VAI, "serve", "--port", "0", "--actions", str(self.actions)]
        log = self.folder / "serve.log"
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                command, env=environment(self.data_dir), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("vai serves"), log.read_text()

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=20)


class Vai(NamedTuple):
    """Runs commands against a server. What a test is not about it arranges over HTTP itself: that is quicker."""

    data_dir: Path
    folder: Path
    api: Api

    def __call__(
        self, *args: str, columns: int | None = 80, text: str | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*VAI, *args],
            env=environment(self.data_dir, columns, **env),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command and go on."""
        return subprocess.Popen(
            [*VAI, *args],
            env=environment(self.data_dir, 80),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            # Who starts the tests in the background of a shell hands down that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def json(self, *args: str) -> Any:
        """What a command answers with --json."""
        done = self(*args, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def apply(self, name: str, text: str) -> None:
        """Define an automation and publish it."""
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        apply_file(self.api, read_definition(path), publish=True)

    def begin(self, name: str, text: str, run_input: Any = None) -> str:
        """Define an automation and start a run of it; its id."""
        self.apply(name, text)
        automation = self.api.automation_named(name)
        assert automation is not None
        return str(self.api.start_run(automation["id"], {"input": run_input}, None)["id"])

    def complete(self, name: str, text: str) -> str:
        """Define an automation and have a run of it that has ended; its id."""
        run_id = self.begin(name, text)
        for _ in Follow(self.api, run_id, say=print):
            pass
        return run_id


def api_of(data_dir: Path) -> Api:
    """The API of the server of a data folder."""
    url = json.loads((data_dir / "server.json").read_text())["url"]
    return Api(Connection(url, "server.json", (data_dir / "admin.key").read_text().strip(), "admin.key"))
