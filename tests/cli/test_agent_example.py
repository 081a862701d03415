"""The example of `call_agent`, as its first lines say, with a server that speaks as a model's does."""

import json
from pathlib import Path

import pytest

from tests.actions.chat_server import calls, chatting, said
from tests.actions.receiver import Answer, receiving
from tests.cli.server import Vai
from vai.cli.follow import Follow

pytestmark = pytest.mark.process
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kinds" / "agent.yaml"
KEY = "sk-of-the-model-8842"
REVIEW = "The tea is lovely."


def test_a_model_with_a_tool_and_a_person_who_checks(vai: Vai) -> None:
    final = calls(("final_result", {"product": "tea", "content": True}))
    with receiving() as shop, chatting(calls(("list_products", {})), said("Tea."), final) as model:
        shop.answer = lambda request: Answer(body=b'["tea", "cups"]')
        (vai.folder / "key.json").write_text(json.dumps({"apiKey": KEY}))
        config = json.dumps({"baseUrl": model.address})
        given = ("--provider", "openai", "--credentials", "key.json", "--config", config)
        made = vai("connections", "create", "Model", *given)
        assert made.returncode == 0, made.stderr
        applied = vai("automations", "apply", str(EXAMPLE))
        assert applied.returncode == 0, applied.stderr
        products = f"http://127.0.0.1:{shop.port}/products"
        run = vai.json(
            "runs", "start", "agent-example", "--input", json.dumps({"review": REVIEW, "products": products})
        )
        events = []
        for event in Follow(vai.api, run["id"], say=print):
            events.append(event)
            if event["type"] == "run.awaiting_approval":
                approve(vai, run["id"])
        (products_told,) = [message for message in model.asked[1]["messages"] if message["role"] == "tool"]
        assert '["tea","cups"]' in products_told["content"]
        assert model.receiver.requests[0].headers["authorization"] == f"Bearer {KEY}"
    shown = vai("runs", "show", run["id"], "--json").stdout
    assert json.loads(shown)["status"] == "completed"
    assert KEY not in shown + json.dumps(events)


def approve(vai: Vai, run_id: str) -> None:
    """Whoever is asked says yes."""
    (decision,) = vai.json("decisions", "list", "--run", run_id)["items"]
    assert decision["title"] == "Is it about tea?"
    assert vai("decisions", "approve", decision["id"]).returncode == 0
