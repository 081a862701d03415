"""What the OpenAPI document says of answers and request bodies; request bodies are also checked by these."""

from pydantic import BaseModel

from vai.api.models.access import (
    Health,
    Me,
    OpenedSession,
    OpenSessionRequest,
    Organization,
    Session,
)
from vai.api.models.actions import (
    ActionRun,
    ActionRunList,
    ActionRunQuery,
    Artifact,
    Kind,
    KindList,
)
from vai.api.models.automations import (
    Automation,
    AutomationList,
    CreateAutomationRequest,
    CreateVersionRequest,
    LatestRun,
    UpdateAutomationRequest,
    ValidateRequest,
    Validation,
    Version,
    VersionList,
    VersionsSummary,
)
from vai.api.models.common import (
    ProblemBody,
    ValidationErrorBody,
    ValidationErrorItem,
    VersionStatus,
)
from vai.api.models.connections import (
    Connection,
    ConnectionList,
    ConnectionStatus,
    CreateConnectionRequest,
    UpdateConnectionRequest,
    Verification,
)
from vai.api.models.runs import (
    PlannedStep,
    RetryPlan,
    RetryRequest,
    Run,
    RunEvent,
    RunEventPage,
    RunList,
    RunSteps,
    StartRunRequest,
    Step,
)

REQUESTS: tuple[type[BaseModel], ...] = (
    RetryRequest,
    StartRunRequest,
    CreateAutomationRequest,
    UpdateAutomationRequest,
    ValidateRequest,
    CreateVersionRequest,
    OpenSessionRequest,
    CreateConnectionRequest,
    UpdateConnectionRequest,
)
"""The request bodies; the framework does not read them itself, so it does not know them."""

__all__ = [
    "REQUESTS",
    "ActionRun",
    "ActionRunList",
    "ActionRunQuery",
    "Artifact",
    "Automation",
    "AutomationList",
    "Connection",
    "ConnectionList",
    "ConnectionStatus",
    "CreateAutomationRequest",
    "CreateConnectionRequest",
    "CreateVersionRequest",
    "Health",
    "Kind",
    "KindList",
    "LatestRun",
    "Me",
    "OpenSessionRequest",
    "OpenedSession",
    "Organization",
    "PlannedStep",
    "ProblemBody",
    "RetryPlan",
    "RetryRequest",
    "Run",
    "RunEvent",
    "RunEventPage",
    "RunList",
    "RunSteps",
    "Session",
    "StartRunRequest",
    "Step",
    "UpdateAutomationRequest",
    "UpdateConnectionRequest",
    "ValidateRequest",
    "Validation",
    "ValidationErrorBody",
    "ValidationErrorItem",
    "Verification",
    "Version",
    "VersionList",
    "VersionStatus",
    "VersionsSummary",
]
