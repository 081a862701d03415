"""Signing in and out of the console: an API key is exchanged for a cookie; and who the caller is."""

from fastapi import APIRouter, Request, Response

from vai.access import Unauthenticated
from vai.api import models, present
from vai.api.credentials import COOKIE, Caller, credential_of, header_credential, refuse_other_origins
from vai.api.document import body, problems
from vai.api.doors import doors_of
from vai.api.problems import Problem
from vai.api.reading import read

router = APIRouter(prefix="/auth", tags=["Access"])


@router.post(
    "/session",
    response_model=models.OpenedSession,
    responses=problems(403, 413, 415),
    openapi_extra=body(models.OpenSessionRequest),
)
async def open_session(request: Request) -> Response:
    """Exchange an API key (in a header, or as `apiKey`) for the cookie `vai_token`."""
    refuse_other_origins(request)
    credential = header_credential(request)
    asked = await read(request, models.OpenSessionRequest)
    secret = credential.secret if credential else asked.api_key
    if not secret:
        raise Unauthenticated("Send an API key: Authorization: Bearer, X-API-Key, or apiKey in the body.")
    access = doors_of(request).access
    who = await access.authenticate(secret)
    if who.source_type != "api_key":
        # A session that could open another would never end.
        raise Problem(403, "needs-api-key", "A session is opened with an API key, not with another session.")
    token, expires_at = await access.open_session(secret)
    opened = {"expiresAt": present.rfc3339(expires_at), "organizationId": who.tenant_id}
    response = present.answer(opened, 200, {"Cache-Control": "no-store"})
    seconds = (expires_at - doors_of(request).clock()) // 1000
    _set_cookie(request, response, token, seconds)
    return response


@router.delete("/session", status_code=204, responses={403: problems(403)[403]})
async def close_session(request: Request) -> Response:
    """Sign out: the cookie's session ends, and the cookie goes."""
    refuse_other_origins(request)
    token = request.cookies.get(COOKIE)
    if token is not None:
        await doors_of(request).access.close_session(token)
    response = Response(status_code=204)
    _set_cookie(request, response, "", 0)
    return response


def _set_cookie(request: Request, response: Response, token: str, seconds: int) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


@router.get("/me", response_model=models.Me, responses=problems())
async def get_me(request: Request, who: Caller) -> Response:
    """Who calls, and from which organization."""
    organization = await doors_of(request).access.organization(who.tenant_id)
    session = {
        "authMethod": credential_of(request).method,
        "organization": {
            "id": who.tenant_id,
            "name": organization.get("name", ""),
            "slug": organization.get("slug", ""),
            "tenantStatus": "active",
        },
        "organizationId": who.tenant_id,
        "role": who.role,
        "sessionId": who.source_id,
        "tokenType": "session" if who.source_type == "user" else "api_key",
    }
    return present.answer({"session": session, "user": None})
