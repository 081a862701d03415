"""Artifacts: results that are too large to stand in their step."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import problems
from vai.api.doors import doors_of

router = APIRouter(prefix="/artifacts", tags=["Artifacts"])

ArtifactId = Annotated[UUID, Path(alias="artifact_id")]

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The content as it is.", "content": {"application/json": {}, "text/plain": {}}}
}


@router.get("/{artifact_id}", response_model=models.Artifact, responses=problems(404))
async def get_artifact(request: Request, who: Caller, artifact_id: ArtifactId) -> Response:
    """What is known of an artifact beside its content."""
    record, _ = await doors_of(request).runs.artifact(who, str(artifact_id))
    return present.answer(present.artifact(record))


@router.get("/{artifact_id}/content", response_model=None, responses={**_CONTENT, **problems(404)})
async def get_artifact_content(request: Request, who: Caller, artifact_id: ArtifactId) -> Response:
    """The content of an artifact: a step's whole result."""
    record, content = await doors_of(request).runs.artifact(who, str(artifact_id))
    media_type = "application/json" if record.kind == "json" else "text/plain"
    # A browser must not take what an action made for a page of ours.
    return Response(content, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})
