"""`call_automation`: start a run of another automation, and be done when that is."""

from typing import Any

from pydantic import Field

from vai.actions.checking import Definition
from vai.actions.kind import Kind
from vai.ports import ActionContext, Call


class CallDefinition(Definition):
    """Which automation, and with what."""

    automation: str = Field(min_length=1, max_length=255, description="Its id, its name or its slug")
    version: int | None = Field(None, ge=1, description="A published version; without one, the active version")
    input: Any = Field(None, description="The input of its run")


class CallAutomation(Kind):
    """The kind `call_automation`."""

    kind = "call_automation"
    title = "Call an automation"
    description = "Starts a run of another automation and waits for its end, without holding anything."

    def __init__(self) -> None:
        super().__init__(CallDefinition)

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Answers Call at once."""
        asked = self.parse(definition)
        return Call(asked.automation, asked.input, asked.version)
