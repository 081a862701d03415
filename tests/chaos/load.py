"""People at work while things break: they start runs, cancel some, retry some, and ask again when no answer came."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.cluster import Cluster

_PATIENCE_SECONDS = 120


# How often a shape is drawn beside the others. A poisoned run takes five processes down.
_RARELY = {"held": 0, "poison": 1}
_OFTEN = 60


def definitions(ledger: Path, gate: Path) -> dict[str, dict[str, Any]]:
    """Automations of many shapes, all of which write to the ledger; `held` works until the gate is there."""
    to = {"ledger": str(ledger)}

    def step(key: str, kind: str, *needs: str, **more: Any) -> dict[str, Any]:
        definition = {**to, "seconds": 0.02} if kind.startswith("effect") else to
        return {"key": key, "kind": kind, "dependsOn": list(needs), "definition": definition, **more}

    middle = [step(f"m{i}", "effect", "first") for i in range(6)]
    patient = {"maxAttempts": 5, "initialSeconds": 0.05, "maxSeconds": 0.2}
    held = {"key": "a", "kind": "held", "definition": {**to, "gate": str(gate)}}
    shapes = {
        "diamond": [step("first", "effect"), *middle, step("last", "effect", *(s["key"] for s in middle))],
        "chain": [step(f"c{i}", "effect_in_a_thread", *([f"c{i - 1}"] if i else [])) for i in range(4)],
        "flaky": [step("a", "flaky", retry=patient), step("b", "effect", "a")],
        "broken": [step("a", "effect"), step("b", "broken", "a"), step("c", "effect", "b"), step("d", "effect", "a")],
        "waits": [{"key": "w", "kind": "wait", "definition": {"seconds": 0.5}}, step("a", "effect", "w")],
        "process": [step("a", "effect_in_a_process"), step("b", "effect", "a")],
        "held": [held, step("b", "effect", "a")],
        "poison": [step("a", "poison"), step("b", "effect", "a")],
    }
    return {name: {"steps": steps} for name, steps in shapes.items()}


@dataclass
class Book:
    """What the people remember: which runs were accepted under which key, and how often each was retried."""

    accepted: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # keys whose answer may have been lost
    cancelled: set[str] = field(default_factory=set)
    retried: int = 0
    refusals: list[str] = field(default_factory=list)


class Load:
    """Some people on threads of their own, each with a chance of its own that the seed decides."""

    def __init__(self, cluster: Cluster, automations: dict[str, str], seed: int, people: int) -> None:
        self._cluster = cluster
        self._automations = automations
        self.book = Book()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number, random.Random(f"{seed}-{number}")))
            for number in range(people)
        ]

    def begin(self) -> None:
        """Let everybody begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until everybody has had the answer to the last question."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, person: int, chance: random.Random) -> None:
        number = 0
        names = list(self._automations)
        weights = [_RARELY.get(name, _OFTEN) for name in names]
        while not self._over.is_set():
            number += 1
            run_id = self.start(f"{person}-{number}", chance.choices(names, weights)[0], chance)
            if chance.random() < 0.15:
                self._cancel(run_id, chance)
            elif chance.random() < 0.3:
                self._retry(chance)
            self._over.wait(chance.uniform(0, 0.03))

    def start(self, key: str, name: str, chance: random.Random) -> str:
        """Start a run, and ask with the same key until there is an answer; its id."""
        self.book.asked.add(key)
        path = f"/automations/{self._automations[name]}/runs"
        answer = self._ask(chance, path, {"input": {}}, {"Idempotency-Key": key})
        run_id = str(answer["id"])
        known = self.book.accepted.setdefault(key, run_id)
        if known != run_id:
            self.book.refusals.append(f"key {key} gave two runs: {known} and {run_id}")
        return run_id

    def _cancel(self, run_id: str, chance: random.Random) -> None:
        answer = self._ask(chance, f"/automation-runs/{run_id}/cancel", None, {})
        if answer.get("cancelRequestedAt"):
            self.book.cancelled.add(run_id)

    def _retry(self, chance: random.Random) -> None:
        runs = list(self.book.accepted.values())
        mode = chance.choice(["from_failed", "full"])
        answer = self._ask(chance, f"/automation-runs/{chance.choice(runs)}/retry", {"mode": mode}, {}, also=(409,))
        self.book.retried += "id" in answer

    def _ask(
        self, chance: random.Random, path: str, body: Any, headers: dict[str, str], also: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            client = self._cluster.client(chance.choice(self._cluster.servers))
            try:
                answer = client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                threading.Event().wait(0.05)
                continue
            if answer.status_code == 503:
                threading.Event().wait(0.05)
                continue
            if answer.status_code not in (200, 201, *also):
                self.book.refusals.append(f"{path}: {answer.status_code} {answer.text[:300]}")
            return dict(answer.json())
        raise TimeoutError(f"{path}: no server has answered for {_PATIENCE_SECONDS} s")


def publish(cluster: Cluster, configs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Publish the automations; their ids by name."""
    ids, client = {}, cluster.client(cluster.servers[0])
    for name, config in configs.items():
        made = client.post("/automations", json={"name": name, "config": config})
        if made.status_code != 201:
            raise RuntimeError(made.text)
        ids[name] = str(made.json()["id"])
        client.post(f"/automations/{ids[name]}/versions/1/publish").raise_for_status()
    return ids
