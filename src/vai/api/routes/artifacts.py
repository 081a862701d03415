"""Artifacts: results that are too large to stand in their step, and files that steps attached."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from vai.api import models, present
from vai.api.credentials import Caller
from vai.api.document import problems
from vai.api.doors import doors_of
from vai.api.present_artifacts import artifact, artifact_page
from vai.api.ranges import asked_part, headers_of
from vai.api.routes.parameters import Offset, bounded
from vai.ports import ArtifactFilter, ArtifactRecord

router = APIRouter(prefix="/artifacts", tags=["Artifacts"])

ArtifactId = Annotated[UUID, Path(alias="artifact_id")]
PageSize = Annotated[int, Query(ge=1, le=100)]
Kind = Literal["json", "text", "file"]

_BYTES: dict[str, Any] = {"application/json": {}, "text/plain": {}, "application/octet-stream": {}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The content as it is.", "content": _BYTES},
    206: {"description": "The part of it that `Range` asks for.", "content": _BYTES},
    304: {"description": "The caller has it: `If-None-Match` names its ETag."},
    416: {"description": "The content is not as long as `Range` has it."},
}
_TYPES = {"json": "application/json", "text": "text/plain; charset=utf-8", "file": "application/octet-stream"}
_ENDINGS = {"json": "json", "text": "txt", "file": "bin"}
_RANGE: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
        for name, description in (
            ("Range", "One part of the content, as `bytes=0-1023`."),
            ("If-Range", "The ETag that `Range` is meant for; with another, the whole is answered."),
            ("If-None-Match", "The ETags that the caller has."),
        )
    ]
}


@router.get("", response_model=models.ArtifactList, responses=problems())
async def list_artifacts(
    request: Request,
    who: Caller,
    action_run_id: UUID | None = None,
    kind: Kind | None = None,
    limit: PageSize = 50,
    offset: Offset = 0,
) -> Response:
    """Artifacts of the organization, newest first; of one action run, if given."""
    of_run = None if action_run_id is None else str(action_run_id)
    query = ArtifactFilter(who.tenant_id, of_run, kind, limit, bounded(offset))
    page = await doors_of(request).runs.artifacts(query)
    return present.answer(artifact_page(page, limit, offset))


@router.get("/{artifact_id}", response_model=models.Artifact, responses=problems(404))
async def get_artifact(request: Request, who: Caller, artifact_id: ArtifactId) -> Response:
    """What is known of an artifact beside its content."""
    record = await doors_of(request).runs.artifact(who, str(artifact_id))
    return present.answer(artifact(record))


@router.get(
    "/{artifact_id}/content",
    response_model=None,
    responses={**_CONTENT, **problems(404)},
    openapi_extra=_RANGE,
)
async def get_artifact_content(request: Request, who: Caller, artifact_id: ArtifactId) -> Response:
    """The content of an artifact, or a part of it."""
    record = await doors_of(request).runs.artifact(who, str(artifact_id))
    # An artifact never changes: its id is as good as a hash of its content.
    etag = f'"{record.sha256 or record.id}"'
    part = asked_part(record.size_bytes, etag, request.headers)
    headers = {**_headers(record), **headers_of(part, record.size_bytes, etag)}
    if not part.size:
        return Response(status_code=part.status, headers=headers)
    pieces = await doors_of(request).runs.artifact_content(record, part.first, part.last)
    return StreamingResponse(pieces, status_code=part.status, headers=headers)


def _headers(record: ArtifactRecord) -> dict[str, str]:
    name = record.name or f"{record.id}.{_ENDINGS[record.kind]}"
    is_plain = re.fullmatch(r"[A-Za-z0-9._-]+", name) is not None
    called = f'filename="{name}"' if is_plain else "filename*=UTF-8''" + quote(name, safe="")
    return {
        "Content-Type": record.media_type or _TYPES[record.kind],
        "Content-Disposition": f"attachment; {called}",
        # A browser must not take what an action made for a page of ours.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-cache",
    }
