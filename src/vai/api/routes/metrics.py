"""What Prometheus reads; not part of the document, because it is not for programs that use the API."""

from fastapi import APIRouter, Request, Response

from vai.api.credentials import principal
from vai.api.doors import doors_of
from vai.api.locality import is_local
from vai.api.problems import Problem

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def get_metrics(request: Request) -> Response:
    """The metrics of this process. With a key; without one from this machine, or where they are public."""
    metrics = doors_of(request).metrics
    if metrics is None:
        raise Problem(404, "not-found", "This process keeps no metrics.")
    if not metrics.is_public and not is_local(request):
        await principal(request)
    page, content_type = await metrics.page(request.headers.get("accept", ""))
    return Response(page, headers={"Content-Type": content_type})
