"""The shape of a config: which fields there are, of which types, within which bounds."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_STEPS = 10_000
MAX_ELEMENTS = 10_000
MAX_TRIGGERS = 100
MAX_PARALLEL = 10
MAX_SECONDS = 10 * 366 * 86_400.0  # ten years
KEY_PATTERN = r"^[a-z][a-z0-9_]*$"
LABEL_PATTERN = r"^[a-z0-9][a-z0-9_.-]*$"
PATH_PATTERN = r"^/?[A-Za-z0-9_~-][A-Za-z0-9_.~-]*(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*$"


class Shape(BaseModel):
    """Camel case, unknown fields are faults, nothing is converted from another type."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )


class Retry(Shape):
    """When a failed step is tried again by itself. Times in seconds."""

    max_attempts: int = Field(default=1, ge=1, le=100, description="Attempts in all, the first one too")
    initial_seconds: float = Field(default=1.0, ge=0, le=MAX_SECONDS, description="The wait before the second")
    factor: float = Field(default=2.0, ge=1, le=100, description="How much longer each wait is than the last")
    max_seconds: float = Field(default=60.0, ge=0, le=MAX_SECONDS, description="No wait is longer")
    jitter: bool = Field(default=True, description="Shorten each wait by up to half, at random")
    on: list[str] = Field(default=[], max_length=100, description="Types of errors; none: all retryable ones")


class Work(Shape):
    """What a step does, and how."""

    name: str | None = Field(default=None, max_length=200)
    kind: str = Field(min_length=1, max_length=200, description="Which action")
    definition: Any = Field(default={}, description="The kind's own settings; {{ }} allowed in any text")
    retry: Retry = Retry()
    timeout_seconds: float | None = Field(default=None, gt=0, le=MAX_SECONDS)
    grace_seconds: float = Field(default=10.0, ge=0, le=MAX_SECONDS, description="Time to stop before it is killed")
    on_interrupt: Literal["retry", "fail", "ask"] = Field(
        default="retry", description="What becomes of it when its engine died in the middle of it"
    )
    runs_on: str | None = Field(
        default=None, pattern=LABEL_PATTERN, max_length=64, description="The label of the workers that may execute it"
    )


class Step(Work):
    """One step."""

    key: str = Field(pattern=KEY_PATTERN, max_length=64)
    depends_on: list[str] = Field(
        default=[], description="Also inferred from every steps.<key> that an expression names"
    )
    if_: str | None = Field(default=None, alias="if", description="An expression; when it is false the step is skipped")
    for_each: str | list[Any] | None = Field(
        default=None, description="A list, or an expression that gives one: the step runs over each element of it"
    )
    max_parallel: int | None = Field(
        default=None, ge=1, le=MAX_ELEMENTS, description="Elements of forEach under way at once; 10 if not given"
    )
    run_when: Literal["all_succeeded", "none_failed", "all_done", "any_failed", "any_succeeded"] = "all_succeeded"


class Concurrency(Shape):
    """How many runs of one key may be under way, and what becomes of one that comes when so many are."""

    key: str = Field(min_length=1, description="{{ }} allowed, over input, payload and trigger")
    limit: int = Field(default=1, ge=1, le=10_000)
    on_conflict: Literal["queue", "cancel_running", "skip"] = Field(
        default="queue", description="Wait for its turn; have older ones cancelled; or do not run at all"
    )


class AnyTrigger(Shape):
    """What all triggers have."""

    type: str
    key: str | None = Field(default=None, pattern=KEY_PATTERN, max_length=64, description="Unique; default: its type")


class ScheduleTrigger(AnyTrigger):
    """Starts a run at each time of a cron line."""

    type: Literal["schedule"]
    schedule: str = Field(description="Cron: minute, hour, day of the month, month, day of the week")
    timezone: str = Field(default="UTC", description="IANA name, such as Europe/Berlin")
    catch_up: Literal["none", "latest", "all"] = Field(
        default="none", description="Which of the times that were missed, in a downtime or a pause, start a run"
    )
    input: Any = Field(default=None, description="Of its runs")


class WebhookTrigger(AnyTrigger):
    """Starts a run for each delivery to its address."""

    type: Literal["webhook"]
    path: Annotated[
        str,
        Field(pattern=PATH_PATTERN, max_length=200, description="Of the address: /webhooks/{organization}/{path}"),
        AfterValidator(lambda path: path.removeprefix("/")),
    ]
    signature: Literal["standard", "github", "stripe", "none"] = Field(
        default="standard", description="How senders prove that they know the secret"
    )
    secret: str | None = Field(default=None, max_length=1_000, description="Which they know; needed unless none")
    match: str | None = Field(default=None, description="An expression over payload and trigger; false: no run")
    input: Any = Field(default=None, description="Of its runs; {{ }} allowed, over payload and trigger")


TRIGGERS: dict[str, type[AnyTrigger]] = {"schedule": ScheduleTrigger, "webhook": WebhookTrigger}
"""The shapes of triggers, by their type."""


class Head(Shape):
    """The fields of a config that are not of a step."""

    inputs: dict[str, Any] | None = Field(default=None, description="JSON Schema of the run's input")
    concurrency: Concurrency | None = None
    fail_fast: bool = Field(default=False, description="Cancel everything else when a step fails")
    timeout_seconds: float | None = Field(default=None, gt=0, le=MAX_SECONDS, description="Of the whole run")
    triggers: list[Any] = Field(default=[], max_length=MAX_TRIGGERS)
    steps: list[Any] = Field(default=[], max_length=MAX_STEPS)


class OneAction(Head):
    """The form with a single action, which means one step with key `action`."""

    action: dict[str, Any]
    steps: list[Any] = Field(default=[], max_length=0)
    schedule: str | None = None
    timezone: str | None = None
    path: str | None = None
    secret: str | None = None


NOT_YET_HEAD: dict[str, str] = {}
NOT_YET_STEP: dict[str, str] = {}


def field_names(shape: type[BaseModel]) -> list[str]:
    """The names of a shape's fields as they are written."""
    return [field.alias or name for name, field in shape.model_fields.items()]


def definition_schema() -> dict[str, Any]:
    """The JSON Schema of config, for documentation and editors."""
    parts: dict[str, Any] = {}
    forms: dict[str, Any] = {}
    shapes: list[type[Shape]] = [Step, Work, Head, OneAction, *TRIGGERS.values()]
    for shape in shapes:
        schema = shape.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        parts.update(schema.pop("$defs", {}))
        forms[shape.__name__] = schema
    forms["Head"]["properties"]["steps"]["items"] = {"$ref": "#/$defs/Step"}
    triggers = {"anyOf": [{"$ref": f"#/$defs/{shape.__name__}"} for shape in TRIGGERS.values()]}
    forms["Head"]["properties"]["triggers"]["items"] = triggers
    forms["OneAction"]["properties"]["triggers"]["items"] = triggers
    forms["OneAction"]["properties"]["action"] = {"$ref": "#/$defs/Work"}
    del forms["OneAction"]["properties"]["steps"]
    steps, one_action = forms.pop("Head"), forms.pop("OneAction")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Automation",
        "anyOf": [steps, one_action],
        "$defs": {**parts, **forms},
    }
