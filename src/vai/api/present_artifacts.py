"""Artifacts as the API shows them."""

from typing import Any

from vai.api.present import rfc3339
from vai.ports import ArtifactRecord, Page


def artifact(record: ArtifactRecord) -> dict[str, Any]:
    """What is known of an artifact beside its content."""
    return {
        "id": record.id,
        "kind": record.kind,
        "sizeBytes": record.size_bytes,
        "automationRunId": record.run_id,
        "actionRunId": record.action_run_id,
        "createdAt": rfc3339(record.created_at),
        "name": record.name,
        "mediaType": record.media_type,
        "sha256": record.sha256,
    }


def artifact_page(page: Page, limit: int, offset: int) -> dict[str, Any]:
    """A page of artifacts."""
    shown = [artifact(record) for record in page.items]
    has_next = offset + len(shown) < page.total and bool(shown)
    return {"artifacts": shown, "hasNext": has_next, "limit": limit, "offset": offset, "total": page.total}
