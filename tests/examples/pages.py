"""Runs a page of the docs as a reader would: block by block, with its servers in terminals of their own."""

import contextlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.cli.server import api_of
from tests.project.documents import ROOT
from vai.cli.client import Api
from vai.cli.follow import Follow

_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(r"^(vai serve|python3 \w+\.py 9\d\d\d$)")
_AT_REST = {"awaiting_approval", "completed", "failed", "cancelled"}

_WORDS = {"completed": "✓", "kept": "kept", "failed": "✗"}


class Reader:
    """Somebody who goes through a page, beginning in the folder of vai. Leave it with `stop`.

    Servers get free ports: their addresses are put in place of those that the page and the example name.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, ROOT
        self.said = ""  # by the commands of the last block
        self.outputs: dict[str, Path] = {}  # of the servers, by their commands
        self._servers: list[subprocess.Popen[bytes]] = []
        self._addresses: dict[str, str] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAI_", "COLUMNS"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self._environment = {**kept, "HOME": str(home), "PATH": path, "VAI_PORT": "0", "COLUMNS": "120"}

    def read(self, page: str) -> None:
        """Do what the page says, and compare what it shows."""
        for info, text in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            if info == "text":
                assert text.strip() in self.said, f"{page} shows\n{text}\nand there was\n{self.said}"
            elif _SERVER.match(text):
                self._serve(text.strip())
            elif text.startswith("kill "):
                killed = self._vai()
                self._do(text)
                killed.wait(20)
            else:
                self._do(text)
                self._wait_until_at_rest()

    def runs(self) -> list[dict[str, Any]]:
        """The runs, newest first."""
        with contextlib.closing(self._api()) as api:
            return list(api.runs()["items"])

    def events(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """All events of a run that is over."""
        with contextlib.closing(self._api()) as api:
            return list(Follow(api, run["id"], say=print))

    def states(self, attempt: int, run: dict[str, Any] | None = None) -> dict[str, str]:
        """How the steps of a run, or of the newest, stood at the end of an attempt, as `docs.pictures` says it."""
        with contextlib.closing(self._api()) as api:
            steps = api.steps((run or self.runs()[0])["id"], attempt)["steps"]
        states = {step["key"]: _state(step, attempt) for step in steps}
        elements = {key: Counter(states[one] for one in states if one.startswith(f"{key}[")) for key in states}
        told = {key: ", ".join(f"{n} {_WORDS[state]}" for state, n in elements[key].most_common()) for key in states}
        return {key: f"{states[key]}: {told[key]}" if told[key] else states[key] for key in states if "[" not in key}

    def stop(self) -> None:
        """End all servers that were started."""
        for server in self._servers:
            server.kill()
            server.wait(20)

    def _do(self, text: str) -> None:
        """Run a block in the shell, and stay in the folder that it ends in."""
        here = self.home / ".here"
        script = f"set -eo pipefail\n{self._in_place(text)}\npwd > {here}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        self.folder, self.said = Path(here.read_text().strip()), done.stdout

    def _serve(self, command: str) -> None:
        """Start a server, and wait for the address that it prints first."""
        output = self.home / f"server-{len(self._servers)}.log"
        port = re.search(r" (9\d\d\d)$", command)
        words = self._in_place(command if port is None else f"{command.removesuffix(port[1])}0").split()
        with output.open("wb") as log:
            server = subprocess.Popen(
                words, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._servers.append(server)
        self.outputs[command] = output
        while (found := re.search(r"http://(127\.0\.0\.1:\d+)\D", output.read_text())) is None:
            assert server.poll() is None, output.read_text()
        if port is None:
            self._addresses["127.0.0.1:8000"] = found[1]
        else:
            self._addresses[f"127.0.0.1:{port[1]}"] = found[1]
            for file in self.folder.glob("*.yaml"):
                file.write_text(self._in_place(file.read_text()))

    def _in_place(self, text: str) -> str:
        for told, real in self._addresses.items():
            text = text.replace(told, real)
        return text

    def _vai(self) -> subprocess.Popen[bytes]:
        """The process of `vai serve`."""
        return next(server for server in reversed(self._servers) if server.args[:1] == ["vai"])

    def _api(self) -> Api:
        return api_of(self.folder / ".vai")

    def _wait_until_at_rest(self) -> None:
        """Let go on what goes on by itself: a reader would look again."""
        if not any(command.startswith("vai ") for command in self.outputs):
            return
        with contextlib.closing(self._api()) as api:
            for run in api.runs(status=["pending", "running"], limit=1000)["items"]:
                for event in Follow(api, run["id"], say=print):
                    if event["type"].startswith("run.") and api.run(run["id"])["status"] in _AT_REST:
                        break


def _state(step: dict[str, Any], attempt: int) -> str:
    """What became of a step: `kept` when its result is of an earlier attempt."""
    is_kept = step["status"] == "completed" and step["attempt"] < attempt
    return "kept" if is_kept else str(step["status"])
