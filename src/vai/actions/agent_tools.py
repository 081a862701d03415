"""The tools of `call_agent`, inside its child process: other kinds, each call with its own time limit.

Whatever goes wrong in a call is told to the model, which may do better or go on without.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from pydantic_ai import Tool
from referencing import Registry

from vai.actions._registry import registry
from vai.actions.call_agent import NOT_TOOLS
from vai.actions.child_context import ChildContext
from vai.execution.connections import ConnectedActions
from vai.ports import ActionFailed, Actions, ActionStopped, Ask, Branch, Call, Connection, Ref, Sleep, find_connection

MAX_TOLD = 50_000  # characters of a result that the model is told
_NO_DOCUMENTS: Registry[Any] = Registry()  # never fetches what a $ref names


class Given:
    """Finds the connections that the step's definition names, and no others."""

    def __init__(self, connections: Sequence[tuple[Ref, Connection]]) -> None:
        self._connections = connections

    async def resolve(self, _tenant_id: str, ref: Ref) -> Connection:
        """That of this ref. Raises ActionFailed `connection_missing`."""
        return find_connection(self._connections, ref)


class ToolContext:
    """The step's context, with an idempotency key and a progress of the call's own."""

    def __init__(self, context: ChildContext, tool: str, idempotency_key: str) -> None:
        self._context, self._tool = context, tool
        self.idempotency_key = idempotency_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def progress(self, **fields: Any) -> None:
        """Tell how far it is."""
        self._context.progress(**{**fields, "tool": self._tool})


class Tools:
    """All tools of an agent; `calls` has what was called: `{tool, status, seconds}`, and `error` where it failed."""

    def __init__(self, request: dict[str, Any], context: ChildContext) -> None:
        self._context = context
        self._specs = request["tools"]
        self._counts: Counter[str] = Counter()
        self.calls: list[dict[str, Any]] = []
        made = request["registry"]
        # A process of the agent's own at a time: it holds a place among the server's already.
        self._actions: Actions = ConnectedActions(
            registry(
                made["sources"] if self._specs else (),
                data_dir=made["data_dir"],
                traces=made["traces"],
                max_processes=1,
            ),
            Given(context.connections),
        )

    def all(self) -> list[Tool[Any]]:
        """As pydantic-ai takes them."""
        return [self._tool(spec) for spec in self._specs]

    def _tool(self, spec: dict[str, Any]) -> Tool[Any]:
        validator = validator_of(spec["parameters"])

        async def call(**arguments: Any) -> str:
            return await self._call(spec, validator, arguments)

        return Tool.from_schema(call, spec["name"], spec["description"], spec["parameters"], sequential=True)

    async def _call(self, spec: dict[str, Any], validator: Draft202012Validator, arguments: dict[str, Any]) -> str:
        name, began = spec["name"], time.monotonic()
        self._context.progress(phase="tool", tool=name, toolCalls=len(self.calls) + 1)
        record: dict[str, Any] = {"tool": name, "status": "completed"}
        try:
            fault = best_match(validator.iter_errors(arguments))
            if fault is not None:
                raise ActionFailed("invalid_arguments", f"{fault.json_path}: {fault.message}")
            told = _told(await self._run(spec, arguments))
        except ActionFailed as failure:
            record |= {"status": "failed", "error": failure.error.type}
            told = _told({"error": {"type": failure.error.type, "message": failure.error.message}})
        record["seconds"] = round(time.monotonic() - began, 3)
        self.calls.append(record)
        self._context.logger.info("The tool %s %s (%s s).", name, _ended(record), record["seconds"])
        return told

    async def _run(self, spec: dict[str, Any], arguments: dict[str, Any]) -> Any:
        action = self._actions.get(spec["kind"])
        if action is None or spec["kind"] in NOT_TOOLS:
            raise ActionFailed("invalid_tool", f"{spec['kind']} cannot be a tool.")
        context: Any = ToolContext(self._context, spec["name"], self._key(spec["name"], arguments))
        # What is fixed stays fixed, whatever the model says.
        definition = {**arguments, **spec["definition"]}
        try:
            async with asyncio.timeout(spec["timeout_seconds"]):
                answer = await action.run(definition, context)
        except TimeoutError:
            raise ActionFailed("timeout", f"It took longer than {spec['timeout_seconds']:g} seconds.") from None
        except (ActionFailed, ActionStopped):
            raise
        except Exception as error:
            raise ActionFailed(type(error).__name__, str(error)) from None
        if isinstance(answer, Sleep | Ask | Branch | Call):
            raise ActionFailed("invalid_tool", f"{spec['kind']} gave no answer at once, as a tool has to.")
        return answer

    def _key(self, name: str, arguments: dict[str, Any]) -> str:
        """The same for the same call when the step runs again; another for the same call twice."""
        call = hashlib.sha256(msgspec.json.encode([name, arguments], order="sorted")).hexdigest()[:16]
        self._counts[call] += 1
        return f"{self._context.idempotency_key}:{call}:{self._counts[call]}"


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """The validator of a JSON Schema. Raises ActionFailed `invalid_definition`."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ActionFailed("invalid_definition", f"That is not a JSON Schema: {error.message}") from None
    return Draft202012Validator(schema, registry=_NO_DOCUMENTS)


def _told(answer: Any) -> str:
    text = msgspec.json.encode(answer, enc_hook=str).decode()
    return text if len(text) <= MAX_TOLD else f"{text[:MAX_TOLD]}… (cut: {len(text)} characters)"


def _ended(record: dict[str, Any]) -> str:
    return f"failed with {record['error']}" if "error" in record else "answered"
