"""`approval_gate`: people decide whether the run goes on, and may fill in fields."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from vai.actions.checking import Definition
from vai.actions.kind import Kind
from vai.actions.wait import MAX_SECONDS, now_ms
from vai.domain.questions import Question
from vai.domain.status import OnExpire
from vai.ports import ActionContext, Ask, Clock

Assignee = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class ApprovalDefinition(Definition):
    """The question, who may answer it, and until when."""

    title: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="The question in one line")
    message: str | None = Field(None, max_length=20_000, pattern=r"^[^\x00]*$", description="What one should know")
    fields: dict[str, Any] | None = Field(None, description="JSON Schema of what is to be filled in")
    assignees: list[Assignee] = Field(
        default_factory=list,
        max_length=100,
        description="Ids or names of the API keys that may decide; none: everybody may",
    )
    expires_in_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    expires_at: AwareDatetime | None = Field(None, description="A point in time with its zone, RFC 3339")
    on_expire: Literal["approve", "reject", "fail"] | None = Field(
        None, description="What it means that nobody decides in time; fail if not given"
    )
    allow_self_approval: bool = Field(True, description="false: whoever started the run may not decide")

    @model_validator(mode="before")
    @classmethod
    def _one_expiry(cls, given: Any) -> Any:
        if isinstance(given, dict):
            count = sum(given.get(name) is not None for name in ("expiresInSeconds", "expiresAt"))
            if count == 2:
                raise ValueError("give one of expiresInSeconds and expiresAt")
            if given.get("onExpire") is not None and not count:
                raise ValueError("onExpire goes with expiresInSeconds or expiresAt")
        return given

    def ends_at(self, now: int) -> int | None:
        """When it expires, in milliseconds since the epoch."""
        if self.expires_at is not None:
            return int(self.expires_at.timestamp() * 1000)
        return None if self.expires_in_seconds is None else now + int(self.expires_in_seconds * 1000)


class ApprovalGate(Kind):
    """The kind `approval_gate`."""

    kind = "approval_gate"
    title = "Approval"
    description = "Asks people whether the run goes on. Holds nothing while it waits, and survives restarts."

    def __init__(self, clock: Clock = now_ms) -> None:
        super().__init__(ApprovalDefinition)
        self._clock = clock

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Answers Ask at once."""
        asked = self.parse(definition)
        return Ask(
            Question(
                title=asked.title,
                message=asked.message,
                fields=asked.fields,
                assignees=tuple(asked.assignees),
                expires_at=asked.ends_at(self._clock()),
                on_expire=OnExpire(asked.on_expire or "fail"),
                allow_self_approval=asked.allow_self_approval,
            )
        )
