"""The run and the step that the present task is about: for log lines, wherever they are written."""

from contextvars import ContextVar

current_run: ContextVar[str | None] = ContextVar("vai_current_run", default=None)
current_step: ContextVar[str | None] = ContextVar("vai_current_step", default=None)
