"""What several bodies share: the manner of their fields, words, and the bodies of errors."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

OrchestratorType = Literal["local", "dag"]
TriggerType = Literal["manual", "schedule", "webhook", "event"]
TriggerSourceType = Literal["user", "api_key", "schedule", "webhook", "event", "automation"]
VersionStatus = Literal["draft", "active", "archived"]

# PostgreSQL's text cannot hold NUL.
NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=100_000, pattern=NO_NUL)]
VersionNumber = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


def _is_written_out(value: object) -> object:
    """A point in time as text: pydantic would take numbers, too, which do not say what they count."""
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("has to be a point in time with its zone, such as 2026-01-31T09:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_is_written_out)]


class Answer(BaseModel):
    """Every field is always there."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, populate_by_name=True)


class Request(BaseModel):
    """A field that is not known is a mistake, and told."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


def no_default(schema: dict[str, Any]) -> None:
    """What is left out of a change stays as it is: the field has no default to tell."""
    del schema["default"]


class ValidationErrorItem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationErrorBody(BaseModel):
    """What every 422 answers."""

    detail: list[ValidationErrorItem]


class ProblemBody(BaseModel):
    """What every other error answers (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
