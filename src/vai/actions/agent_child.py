"""`call_agent` inside a child process: the turns of the model, its answer, and its failures in words."""

import asyncio
import os
from typing import Any

from jsonschema.exceptions import best_match
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic_ai import Agent, ModelRetry, StructuredDict, UsageLimits
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from vai.actions.agent_tools import Tools, validator_of
from vai.actions.child_context import ChildContext
from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionFailed, Connection

OPENAI = "https://api.openai.com/v1"
MENDS = 3  # how often in a row the model may mend an answer that does not fit
MAX_SHOWN = 500
RETRYABLE_STATUSES = frozenset({408, 425, 429})


def run(request: dict[str, Any], context: ChildContext) -> dict[str, Any]:
    """The result of an AgentDefinition. Raises ActionFailed, ActionStopped."""
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[name]  # the connection alone says who asks whom
    result: dict[str, Any] = asyncio.run(stop_on_cancel(_Conversation(request, context).hold(), context))
    return result


class _Conversation:
    """One call of an agent, from the prompt to its answer."""

    def __init__(self, request: dict[str, Any], context: ChildContext) -> None:
        self._request, self._context = request, context
        self._tools = Tools(request, context)
        self._usage = RunUsage()
        self._turns = 0

    async def hold(self) -> dict[str, Any]:
        connection = self._context.connection(self._request["connection_ref"])
        async with _client(connection, self._request["request_timeout_seconds"]) as client:
            try:
                output = await self._answer(self._agent(client))
            except (ModelAPIError, UsageLimitExceeded, UnexpectedModelBehavior) as error:
                raise explained(error, self._so_far()) from None
        return {"output": output, **self._so_far()}

    def _agent(self, client: AsyncOpenAI) -> Agent[None, Any]:
        schema = self._request["output"]
        model = OpenAIChatModel(self._request["model"], provider=OpenAIProvider(openai_client=client))
        settings = ModelSettings()
        if self._request["temperature"] is not None:
            settings["temperature"] = self._request["temperature"]
        agent: Agent[None, Any] = Agent(
            model,
            output_type=str if schema is None else StructuredDict(schema, name="answer"),
            instructions=self._request["instructions"] or None,
            model_settings=settings,
            tools=self._tools.all(),
            retries=MENDS,
        )
        if schema is not None:
            validator = validator_of(schema)

            @agent.output_validator
            def check(output: Any) -> Any:
                fault = best_match(validator.iter_errors(output))
                if fault is not None:
                    raise ModelRetry(f"The answer does not fit its JSON Schema: {fault.json_path}: {fault.message}")
                return output

        return agent

    async def _answer(self, agent: Agent[None, Any]) -> Any:
        # Tokens are known after a turn: the limit ends the conversation at the first turn beyond it.
        limits = UsageLimits(request_limit=self._request["max_turns"], total_tokens_limit=self._request["max_tokens"])
        self._context.progress(phase="asking", turn=1)
        async with agent.iter(self._request["prompt"], usage_limits=limits, usage=self._usage) as conversation:
            async for node in conversation:
                if Agent.is_call_tools_node(node):
                    self._tell_turn()
        assert conversation.result is not None  # noqa: S101
        return conversation.result.output

    def _tell_turn(self) -> None:
        self._turns += 1
        tokens = self._usage.input_tokens + self._usage.output_tokens
        self._context.logger.info("Turn %s: the model answered (%s tokens so far).", self._turns, tokens)
        self._context.progress(phase="answered", turn=self._turns, tokens=tokens)

    def _so_far(self) -> dict[str, Any]:
        usage = {"inputTokens": self._usage.input_tokens, "outputTokens": self._usage.output_tokens}
        return {"turns": self._turns, "toolCalls": self._tools.calls, "usage": usage}


def _client(connection: Connection, timeout_seconds: float) -> AsyncOpenAI:
    given = {**connection.config, **connection.credentials}
    address = str(given.get("baseUrl") or OPENAI)
    if not address.lower().startswith(("http://", "https://")):
        sentence = f"The baseUrl of the connection {connection.slug} must begin with http:// or https://."
        raise ActionFailed("invalid_connection", sentence)
    key = given.get("apiKey") or given.get("token") or "none"  # servers of one's own often want none
    # Tries again are the step's affair, and a redirect must not carry the key elsewhere.
    http_client = DefaultAsyncHttpxClient(follow_redirects=False, timeout=timeout_seconds)
    return AsyncOpenAI(
        base_url=address, api_key=str(key), max_retries=0, timeout=timeout_seconds, http_client=http_client
    )


def explained(error: Exception, details: dict[str, Any]) -> ActionFailed:
    """A failure of the conversation in words, with how far it was."""
    if isinstance(error, ModelHTTPError):
        return _refused(error, details)
    if isinstance(error, ModelTimeoutError):
        return ActionFailed("timeout", "The model's server was silent for too long.", retryable=True, details=details)
    if isinstance(error, ModelConnectionError):
        sentence = "The model's server could not be reached, or hung up."
        return ActionFailed("connection_error", sentence, retryable=True, details=details)
    if isinstance(error, UsageLimitExceeded):
        reason = str(error).partition(". Consider")[0]
        sentence = f"The agent was not done within maxTurns and maxTokens: {reason}."
        return ActionFailed("limit_reached", sentence, details=details)
    sentence = f"The model's answer cannot be used: {error}"[:MAX_SHOWN]
    return ActionFailed("bad_answer", sentence, retryable=True, details=details)


def _refused(error: ModelHTTPError, details: dict[str, Any]) -> ActionFailed:
    status = error.status_code
    return ActionFailed(
        "http_429" if status == 429 else f"http_{status // 100}xx",
        f"The model's server answered {status}.",
        retryable=status >= 500 or status in RETRYABLE_STATUSES,
        details={**details, "status": status, "body": str(error.body)[:MAX_SHOWN]},
        retry_after_seconds=error.retry_after,
    )
