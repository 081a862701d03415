"""Parameters that several operations have in common."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from pydantic import StringConstraints

from vai.domain.status import RunStatus

RunId = Annotated[UUID, Path(alias="run_id")]
AutomationId = Annotated[UUID, Path(alias="automation_id")]
DecisionId = Annotated[UUID, Path(alias="decision_id")]
ConnectionId = Annotated[UUID, Path(alias="connection_id")]
TriggerId = Annotated[UUID, Path(alias="trigger_id")]
VersionNumber = Annotated[int, Path(alias="number", ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=0, le=1000)]
Offset = Annotated[int, Query(ge=0)]
Statuses = Annotated[list[RunStatus] | None, Query(alias="status", description="May be given several times.")]
Word = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]

_FURTHEST = 2**53


def bounded(offset: int) -> int:
    """The offset as databases can take it: the contract has no upper bound, and nothing is that far away."""
    return min(offset, _FURTHEST)
