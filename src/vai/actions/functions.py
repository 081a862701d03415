"""Users' own functions as kinds of step. All that can be known beforehand is worked out once, when loaded."""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NotRequired, Required, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError
from typing_extensions import TypedDict

from vai.actions.checking import Model
from vai.actions.marker import MARK, Marked
from vai.actions.process import Processes, Work
from vai.actions.stopping import stop_on_cancel
from vai.actions.threads import Threads
from vai.ports import ActionContext, ActionFailed, Branch, Fault, Sleep

KIND_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
PLAIN = frozenset({type(None), bool, int, float, str})


class Runners(msgspec.Struct, frozen=True):
    """Where functions run that do not run on the event loop."""

    threads: Threads
    processes: Processes


class BadFunction(Exception):
    """A marked function that cannot be a kind; the message says why."""


class FunctionAction:
    """A user's function as a kind."""

    extra: str | None = None
    available = True

    def __init__(self, function: Callable[..., Any], source: str, runners: Runners | None) -> None:
        """A function of `source` that is marked. Without `runners` it cannot be run, only called by its
        arguments. Raises BadFunction."""
        mark: Marked = getattr(function, MARK)
        self.kind = mark.name or function.__name__
        if not KIND_NAME.match(self.kind):
            raise BadFunction(f"{self.kind!r} is not a name of letters, digits and underscores")
        self.function, self.mark = function, mark
        self.grace_seconds = mark.grace_seconds
        documentation = inspect.getdoc(function) or ""
        first_line = documentation.partition("\n")[0].strip()
        self.title = mark.title or first_line.rstrip(".") or self.kind
        self.description = documentation
        self._source, self._runners = source, runners
        self._context_name, self._model, self._accepts_nothing = _read_signature(function)
        self._call: Callable[[dict[str, Any], ActionContext], Awaitable[Any]] = self._call_thread
        if mark.process:
            self.run = self._run_process  # type: ignore[method-assign]
        elif inspect.iscoroutinefunction(function):
            self._call = self._call_async

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its parameters."""
        return self._model.schema

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition template."""
        return self._model.check(definition)

    def arguments(self, definition: Any, context: ActionContext) -> dict[str, Any]:
        """What the function is called with. Raises ActionFailed `invalid_definition`."""
        arguments = {} if not definition and self._accepts_nothing else self._model.parse(definition)
        if self._context_name is not None:
            arguments[self._context_name] = context
        return arguments

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Call it; its return value is the result."""
        value = await self._call(self.arguments(definition, context), context)
        return value if value.__class__ in PLAIN else to_result(value, self.kind)

    async def _call_async(self, arguments: dict[str, Any], context: ActionContext) -> Any:
        if self.mark.cooperative:
            return await self.function(**arguments)
        return await stop_on_cancel(self.function(**arguments), context)

    async def _run_process(self, definition: Any, context: ActionContext) -> Any:
        self.arguments(definition, context)  # a fault is told without starting a process
        request = {"source": self._source, "kind": self.kind, "definition": definition}
        work = Work("vai.actions.function_child:run", request, grace_seconds=self.grace_seconds)
        return await self._ready().processes.run(work, context)

    def _ready(self) -> Runners:
        if self._runners is None:
            raise RuntimeError("made without runners")
        return self._runners

    async def _call_thread(self, arguments: dict[str, Any], _context: ActionContext) -> Any:
        return await self._ready().threads.run(functools.partial(self.function, **arguments))


def to_result(value: Any, kind: str) -> Any:
    """A function's return value as JSON-able data. Raises ActionFailed `result_not_serialisable`."""
    if isinstance(value, Sleep | Branch):
        return value
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_encode)
    except (TypeError, ValueError, NotImplementedError, RecursionError) as error:
        sentence = f"{kind} returned what JSON cannot hold: {error}"
        raise ActionFailed("result_not_serialisable", sentence) from None


def _encode(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"a value of type {type(value).__name__}")


def _read_signature(function: Callable[..., Any]) -> tuple[str | None, Model, bool]:
    """The name of the context's parameter, the model of the others, and whether all of those are optional."""
    hints = _hints(function)
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    contexts = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise BadFunction(f"parameter {name!r} cannot be given by name")
        if name not in hints:
            raise BadFunction(f"parameter {name!r} has no type annotation; write for example {name}: str")
        if hints[name] is ActionContext:
            contexts.append(name)
        elif parameter.default is parameter.empty:
            fields[name] = Required[hints[name]]
        else:
            fields[name] = NotRequired[hints[name]]
            defaults[name] = parameter.default
    if len(contexts) > 1:
        raise BadFunction(f"both {contexts[0]!r} and {contexts[1]!r} are annotated as the context")
    return next(iter(contexts), None), _model(function, fields, defaults), len(fields) == len(defaults)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise BadFunction(f"its type annotations cannot be read: {error}") from None


def _model(function: Callable[..., Any], fields: dict[str, Any], defaults: dict[str, Any]) -> Model:
    """A typed dictionary, not a pydantic model: parameters may have any name (`json`, `copy`, `_x`)."""
    make: Any = TypedDict  # its fields are known only now, which is no matter for a type checker
    shape = make(f"{function.__name__}_definition", fields)
    shape.__pydantic_config__ = ConfigDict(extra="forbid", hide_input_in_errors=True)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(shape)
        schema = adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0].partition(". Set")[0]
        raise BadFunction(f"a parameter has a type that cannot come from JSON: {reason}") from None
    for name, default in defaults.items():
        try:
            value = msgspec.to_builtins(default, str_keys=True, enc_hook=_encode)
        except (TypeError, ValueError, NotImplementedError):
            continue
        schema["properties"][name]["default"] = value
    return Model(adapter, schema)
