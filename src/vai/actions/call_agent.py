"""`call_agent`: a language model with tools, by pydantic-ai, in a child process (`agent_child`)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from vai.actions.checking import ConnectionRef, Definition, is_templated, ref_of
from vai.actions.kind import Kind
from vai.actions.process import Processes, Work
from vai.actions.secrets import revealed, secrets_of
from vai.ports import ActionContext, ActionFailed, Actions, Fault

# A tool answers at once, while the model waits: these do not, or steer the run that the step is a part of.
NOT_TOOLS = {
    "approval_gate": "it asks people, which only a step of its own can",
    "call_agent": "agents do not call agents",
    "call_automation": "it waits for another run, which only a step of its own can",
    "conditional_branch": "it decides on the way of the run",
    "wait": "it waits, which only a step of its own can",
}
FINAL = "final_result"  # pydantic-ai's own tool, for an answer that has a schema


def _object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise ValueError("must be a JSON Schema of type object")
    return schema


ObjectSchema = Annotated[dict[str, Any], AfterValidator(_object_schema)]


class Tool(Definition):
    """Another kind that the model may call: what is fixed of its definition, and what the model chooses."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
    description: str = Field("", max_length=10_000, description="What the model is told of it")
    kind: str = Field(min_length=1)
    definition: dict[str, Any] = Field(default_factory=dict, description="The fields that are fixed")
    parameters: ObjectSchema = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        description="JSON Schema of the fields of the definition that the model chooses",
    )
    timeout_seconds: float = Field(60, gt=0, le=86_400, description="For each call")


class AgentDefinition(Definition):
    """What a model is asked, what it may use, and what its answer looks like."""

    connection_ref: ConnectionRef = Field(description="Has the key (apiKey) and the address (config.baseUrl)")
    model: str = Field(min_length=1, max_length=200)
    instructions: str = Field("", max_length=1_000_000)
    prompt: str = Field(min_length=1, max_length=1_000_000)
    output: ObjectSchema | None = Field(None, description="JSON Schema of the answer; without it, it is text")
    tools: list[Tool] = Field(default_factory=list, max_length=50)
    max_turns: int = Field(10, ge=1, le=1_000, description="How often the model is asked")
    max_tokens: int | None = Field(None, ge=1, description="Of all turns together, in and out")
    temperature: float | None = Field(None, ge=0, le=2)
    request_timeout_seconds: float = Field(120, gt=0, le=86_400, description="How long the server may be silent")


class CallAgent(Kind):
    """The kind `call_agent`."""

    kind = "call_agent"
    title = "Call an agent"
    description = (
        "Asks a language model behind an API like OpenAI's, which may call other kinds as tools. The result holds "
        "{output, turns, toolCalls, usage}."
    )
    extra: str | None = "agent"
    needs = ("pydantic_ai", "openai")

    def __init__(self, processes: Processes, tools: Actions, registry: Mapping[str, Any]) -> None:
        """`tools`: the kinds that there are. `registry`: how the child process makes a registry of them."""
        super().__init__(AgentDefinition)
        self._processes, self._tools, self._registry = processes, tools, dict(registry)

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition template, its tools' definitions too."""
        return (*super().check(definition), *self._tool_faults(definition))

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Do it. ActionFailed `http_<class>`, `http_429`, `timeout`, `connection_error`, `limit_reached`, `bad_answer`,
        `invalid_connection`, `invalid_definition`."""
        agent: AgentDefinition = self.parse(definition)
        for fault in self._tool_faults(definition):
            raise ActionFailed("invalid_definition", f"{'.'.join(map(str, fault.loc))}: {fault.msg}")
        connection = context.connection(ref_of(agent.connection_ref))
        request = {**revealed(agent), "registry": self._registry}
        secrets = secrets_of([SecretStr(str(value)) for value in connection.credentials.values()])
        return await self._processes.run(Work("vai.actions.agent_child:run", request, secrets), context)

    def _tool_faults(self, definition: Any) -> Iterator[Fault]:
        tools = definition.get("tools") if isinstance(definition, Mapping) else None
        names: set[str] = set()
        for number, tool in enumerate(tools if isinstance(tools, list) else ()):
            if not isinstance(tool, Mapping) or not isinstance(tool.get("kind"), str) or is_templated(tool["kind"]):
                continue  # what is wrong with these the model tells, or the step's own check
            name = str(tool.get("name"))
            if name == FINAL:
                yield Fault(("tools", number, "name"), "is what the model calls with its answer")
            if name in names:
                yield Fault(("tools", number, "name"), "another tool has this name")
            names.add(name)
            yield from self._kind_faults(tool, ("tools", number))

    def _kind_faults(self, tool: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Fault]:
        kind, fixed = tool["kind"], tool.get("definition") or {}
        action = self._tools.get(kind)
        if kind in NOT_TOOLS:
            yield Fault((*loc, "kind"), f"{kind} cannot be a tool: {NOT_TOOLS[kind]}")
        elif action is None:
            yield Fault((*loc, "kind"), f"there is no kind {kind!r}")
        elif isinstance(fixed, Mapping):
            chosen = _chosen(tool)
            for name in chosen:
                if name in fixed:
                    yield Fault((*loc, "definition", name), "is fixed here and a parameter too")
            # What the model will choose counts as an expression does: it is taken to fit.
            for fault in action.check({**fixed, **dict.fromkeys(chosen, "{{ }}")}):
                yield Fault((*loc, "definition", *fault.loc), fault.msg, fault.type)


def _chosen(tool: Mapping[str, Any]) -> list[str]:
    parameters = tool.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    return list(properties) if isinstance(properties, Mapping) else []
