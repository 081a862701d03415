"""The contract's page as a table of facts, written by hand from the page and from nothing else.

What the page leaves open and DESIGN decides (which fields may be null, the further members of the enums, the lower
bound of `limit`) is marked DESIGN.
"""

from dataclasses import dataclass, field
from typing import Any

PREFIX = "/api/v1/automation-runs"


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation. `optional` is the page's question mark."""

    name: str
    place: str  # query | path | header | cookie
    type: str | None = None  # as printed; None where the page prints only a bar
    optional: bool = True
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    format: str | None = None
    repeatable: bool = False  # DESIGN


@dataclass(frozen=True)
class Field:
    """A field of a body. `shown` is the example that the page prints for it."""

    name: str
    type: str  # string | date-time | number | integer | boolean | object | array of string | array of step …
    shown: Any = None
    nullable: bool = False  # DESIGN
    members: tuple[str, ...] = ()  # of an enum; the page prints the first, the others are DESIGN's

    @property
    def is_enum(self) -> bool:
        return bool(self.members)


@dataclass(frozen=True)
class Operation:
    """An operation of the page."""

    title: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    answer: str | None  # name of the body; None: the page prints null
    request: tuple[Parameter, ...] = field(default=())

    @property
    def id(self) -> str:
        return self.title.replace(" ", "-")


# --- parameters --------------------------------------------------------------------------------------------

CREDENTIALS = (
    Parameter("authorization", "header"),
    Parameter("X-API-Key", "header"),
    Parameter("vai_token", "cookie"),  # printed among the headers; platform facts, section 3: it is a cookie
)
RUN_ID = Parameter("run_id", "path", "string", optional=False, format="uuid")

# --- bodies ------------------------------------------------------------------------------------------------

TIME = "2019-08-24T14:15:22Z"
RUN_STATUSES = ("pending", "running", "awaiting_approval", "completed", "failed", "cancelled")
STEP_STATUSES = (*RUN_STATUSES, "skipped")

RUN = (
    Field("automationId", "string", "string"),
    Field("automationVersionId", "string", "string"),
    Field("completedAt", "date-time", TIME, nullable=True),
    Field("concurrencyKey", "string", "string", nullable=True),
    Field("createdAt", "date-time", TIME),
    Field("durationSeconds", "number", 0, nullable=True),
    Field("error", "object", {}, nullable=True),
    Field("externalJobId", "string", "string", nullable=True),
    Field("id", "string", "string"),
    Field("orchestratorType", "string", "local", members=("local", "dag")),
    Field("startedAt", "date-time", TIME, nullable=True),
    Field("status", "string", "pending", members=RUN_STATUSES),
    Field("tenantId", "string", "string"),
    Field("triggerSourceId", "string", "string", nullable=True),
    Field(
        "triggerSourceType",
        "string",
        "user",
        members=("user", "api_key", "schedule", "webhook", "event", "automation"),
    ),
    Field("triggerType", "string", "manual", members=("manual", "schedule", "webhook", "event")),
    Field("updatedAt", "date-time", TIME),
    Field("versionNumber", "integer", 0),
)

RUN_LIST = (
    Field("items", "array of run"),
    Field("total", "integer", 0),
)

STEP = (
    Field("actionRunId", "string", "string", nullable=True),
    Field("completedAt", "date-time", TIME, nullable=True),
    Field("decisionId", "string", "string", nullable=True),
    Field("dependsOn", "array of string", ["string"]),
    Field("durationSeconds", "number", 0, nullable=True),
    Field("error", "object", {}, nullable=True),
    Field("key", "string", "string"),
    Field("name", "string", "string"),
    Field("result", "object", {}, nullable=True),
    Field("resultTruncated", "boolean", False),
    Field("startedAt", "date-time", TIME, nullable=True),
    Field("status", "string", "string"),  # a plain string: no enum
)

STEPS = (
    Field("automationRunId", "string", "string"),
    Field("completedCount", "integer", 0),
    Field("failedCount", "integer", 0),
    Field("pendingCount", "integer", 0),
    Field("runningCount", "integer", 0),
    Field("steps", "array of step"),
)

ADDED_COUNTS = ("skippedCount", "cancelledCount", "awaitingApprovalCount")  # DESIGN

ERROR = (Field("detail", "array of error item"),)
ERROR_ITEM = (
    Field("loc", "array of string", ["string"]),
    Field("msg", "string", "string"),
    Field("type", "string", "string"),
)

BODIES = {"run": RUN, "run list": RUN_LIST, "step": STEP, "steps": STEPS}

# --- operations --------------------------------------------------------------------------------------------

RETRY_MODES = ("from_failed", "from_step", "full")

OPERATIONS = (
    Operation(
        "List All Runs",
        "GET",
        PREFIX,
        (
            Parameter("status", "query", repeatable=True),
            # DESIGN: minimum 0; the page prints only the upper bound.
            Parameter("limit", "query", "integer", default=100, minimum=0, maximum=1000),
            Parameter("offset", "query", "integer", default=0, minimum=0),
            *CREDENTIALS,
        ),
        "run list",
    ),
    Operation("Get Run", "GET", f"{PREFIX}/{{run_id}}", (RUN_ID, *CREDENTIALS), "run"),
    Operation("Cancel Run", "POST", f"{PREFIX}/{{run_id}}/cancel", (RUN_ID, *CREDENTIALS), "run"),
    Operation("Stream Run Events", "GET", f"{PREFIX}/{{run_id}}/events", (RUN_ID, *CREDENTIALS), None),
    Operation(
        "Retry Run",
        "POST",
        f"{PREFIX}/{{run_id}}/retry",
        (RUN_ID, *CREDENTIALS),
        "run",
        request=(
            Parameter("mode", "body", "string", default="from_failed"),
            Parameter("stepKey", "body"),
        ),
    ),
    Operation("Get Run Steps", "GET", f"{PREFIX}/{{run_id}}/steps", (RUN_ID, *CREDENTIALS), "steps"),
)

OPERATION = {operation.title: operation for operation in OPERATIONS}


def fields_of(operation: Operation) -> tuple[tuple[str, Field], ...]:
    """Every field of an operation's answer with the path to it: `items[].id`."""
    if operation.answer == "run list":
        return (*((f.name, f) for f in RUN_LIST), *((f"items[].{f.name}", f) for f in RUN))
    if operation.answer == "steps":
        return (*((f.name, f) for f in STEPS), *((f"steps[].{f.name}", f) for f in STEP))
    return tuple((f.name, f) for f in RUN) if operation.answer == "run" else ()
