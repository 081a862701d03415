"""What the present task is about: the run and the step, for log lines wherever they are written, and who acts."""

from contextvars import ContextVar

current_run: ContextVar[str | None] = ContextVar("vai_current_run", default=None)
current_step: ContextVar[str | None] = ContextVar("vai_current_step", default=None)

current_actor: ContextVar[tuple[str, str | None]] = ContextVar("vai_current_actor", default=("system", None))
"""The kind of whoever acts (`user`, `api_key`, `system`) and the id, for the log of the organization."""
