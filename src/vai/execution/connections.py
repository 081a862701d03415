"""Steps that use connections: found before the action begins, given through its context, and blotted out of all that
it says. Whoever drives the run, it happens where the action is called, so no credential gets into its history."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vai.execution.redaction import Redaction
from vai.execution.storable import error_of
from vai.ports import (
    Action,
    ActionContext,
    ActionFailed,
    Actions,
    ActionStopped,
    Ask,
    Await,
    Branch,
    Call,
    Connection,
    Fault,
    Ref,
    Resolver,
    Sleep,
    find_connection,
    refs_in,
)


class ConnectedActions:
    """The kinds of another registry, each given the connections that its definition names."""

    def __init__(self, actions: Actions, resolver: Resolver) -> None:
        self._all = tuple(Connected(action, resolver) for action in actions.all())
        self._kinds = {action.kind: action for action in self._all}

    def get(self, kind: str) -> Action | None:
        """The kind of that name, if there is one."""
        return self._kinds.get(kind)

    def all(self) -> Sequence[Action]:
        """Every kind, in the registry's order."""
        return self._all


class Connected:
    """A kind that is given its connections. One that names none is called as it is, at no cost but the look."""

    def __init__(self, action: Action, resolver: Resolver) -> None:
        self.kind, self.title, self.description = action.kind, action.title, action.description
        self.extra, self.available = action.extra, action.available
        self._action, self._resolver = action, resolver

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its definition."""
        return self._action.definition_schema

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition template."""
        return self._action.check(definition)

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Do it. Raises ActionFailed `connection_missing`, and as the kind does."""
        found = [(ref, await self._resolver.resolve(context.tenant_id, ref)) for _, ref in refs_in(definition)]
        if not found:
            return await self._action.run(definition, context)
        redaction = Redaction(connection.credentials for _, connection in found)
        try:
            answer = await self._action.run(definition, ConnectedContext(context, found, redaction))
        except ActionStopped:
            raise
        except ActionFailed as failure:
            raise _blotted(failure, redaction) from None
        except Exception as error:
            raw = error_of(error)
            raise ActionFailed(raw.type, redaction.text(raw.message), retryable=raw.retryable) from None
        return _clean(answer, redaction)


class ConnectedContext:
    """An ActionContext that knows connections, and says nothing of what is secret in them."""

    def __init__(
        self, context: ActionContext, connections: Sequence[tuple[Ref, Connection]], redaction: Redaction
    ) -> None:
        self._context, self._redaction, self.connections = context, redaction, connections
        self.logger = logging.Logger(context.logger.name, logging.DEBUG)
        self.logger.addHandler(_Blotting(context.logger, redaction))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def connection(self, ref: Ref) -> Connection:
        """The connection of this ref."""
        return find_connection(self.connections, ref)

    def progress(self, **fields: Any) -> None:
        """Tell how far it is."""
        self._context.progress(**self._redaction.data(msgspec.to_builtins(fields, str_keys=True)))


class _Blotting(logging.Handler):
    def __init__(self, logger: logging.Logger, redaction: Redaction) -> None:
        super().__init__()
        self._logger, self._redaction = logger, redaction

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logger.log(record.levelno, "%s", self._redaction.text(self.format(record)))
        except Exception:
            self.handleError(record)


def _blotted(failure: ActionFailed, redaction: Redaction) -> ActionFailed:
    error = failure.error
    return ActionFailed(
        redaction.text(error.type),
        redaction.text(error.message),
        retryable=error.retryable,
        details=redaction.data(error.details),
        retry_after_seconds=failure.retry_after_seconds,
    )


def _clean(answer: Any, redaction: Redaction) -> Any:
    if isinstance(answer, Ask | Await | Call):
        return answer  # made of the definition, which holds no credential
    if isinstance(answer, Sleep | Branch):
        return msgspec.structs.replace(answer, result=_clean(answer.result, redaction))
    try:
        return redaction.data(msgspec.to_builtins(answer, str_keys=True))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The action's result cannot be written as JSON: {redaction.text(str(error))}"
        raise ActionFailed("result_not_serialisable", message) from None
