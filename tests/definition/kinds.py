"""A small registry of kinds for the tests of definitions."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from vai.definition import parse
from vai.domain.graph import StepSpec
from vai.domain.state import Result, RunContext, RunState, StepError, StepState, initial_state
from vai.domain.status import StepStatus
from vai.ports import Action, ActionContext, Fault


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    headers: dict[str, str] = {}
    body: Any = None


class Anything(RootModel[Any]):
    pass


class ModelKind:
    """A kind whose definition is checked by a pydantic model."""

    title = description = ""
    extra: str | None = None

    def __init__(self, kind: str, model: type[BaseModel], *, available: bool = True) -> None:
        self.kind = kind
        self.available = available
        self.extra = None if available else "data"
        self._model = model

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        return self._model.model_json_schema()

    def check(self, definition: Any) -> Sequence[Fault]:
        try:
            self._model.model_validate(definition)
        except ValidationError as error:
            return [Fault(tuple(e["loc"]), e["msg"], e["type"]) for e in error.errors()]
        return ()

    async def run(self, definition: Any, context: ActionContext) -> Any:
        return definition


class Kinds:
    """The registry."""

    def __init__(self, *actions: Action) -> None:
        self._actions = {action.kind: action for action in actions}

    def get(self, kind: str) -> Action | None:
        return self._actions.get(kind)

    def all(self) -> Sequence[Action]:
        return tuple(self._actions.values())


KINDS = Kinds(
    ModelKind("http_request", Request),
    ModelKind("noop", Anything),
    ModelKind("heavy", Anything, available=False),
    ModelKind("conditional_branch", Anything),
)


def noop(key: str, **fields: Any) -> dict[str, Any]:
    """A step of kind noop."""
    return {"key": key, "kind": "noop", **fields}


def state_of(config: Any, *, input: Any = None, payload: Any = None, **steps: Any) -> RunState:
    """A run of `config` in which `steps` have completed with the results given, or failed with a StepError."""
    context = RunContext(
        "tenant",
        "automation-1",
        1_700_000_000_123,
        input,
        payload,
        {"type": "manual", "sourceType": "user", "sourceId": None},
    )
    state = initial_state("run-1", parse(config, KINDS).graph, context)
    for key, value in steps.items():
        if isinstance(value, StepError):
            state.steps[key] = StepState(key, StepStatus.FAILED, error=value)  # type: ignore[index]
        else:
            state.steps[key] = StepState(key, StepStatus.COMPLETED, result=Result(value))  # type: ignore[index]
    return state


def spec_of(state: RunState, key: str) -> StepSpec:
    """The step `key` as the run's version defines it."""
    return state.graph.steps[key]
