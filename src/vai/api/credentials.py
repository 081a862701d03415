"""Who calls: the first credential that is present decides; the cookie is good for same-origin changes only."""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from vai.access import Principal, Unauthenticated
from vai.api.doors import doors_of
from vai.api.problems import Problem
from vai.ports.current import current_actor

COOKIE = "vai_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def _parameter(name: str, place: str, description: str) -> dict[str, Any]:
    schema = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": name}
    return {"name": name, "in": place, "required": False, "description": description, "schema": schema}


PARAMETERS = (
    _parameter("authorization", "header", "`Bearer` and an API key or a session token."),
    _parameter("X-API-Key", "header", "An API key."),
    _parameter(COOKIE, "cookie", "The session that `POST /api/v1/auth/session` opened."),
)
"""The three credentials as the OpenAPI document has them; the first one present decides."""


class Credential(NamedTuple):
    """The credential that decides. `method`: bearer, api_key or cookie."""

    method: str
    secret: str


async def principal(request: Request) -> Principal:
    """The caller. Raises Unauthenticated, or Problem 403 for a change from another origin by cookie.

    The headers are read here and not declared: the framework takes longer over three parameters than all else of
    a request takes. The document has them from `PARAMETERS`.
    """
    credential = credential_of(request)
    if credential.method == "cookie" and request.method not in _SAFE_METHODS:
        refuse_other_origins(request)
    who = await doors_of(request).access.authenticate(credential.secret)
    current_actor.set((who.source_type, who.source_id))
    return who


Caller = Annotated[Principal, Depends(principal)]
"""The parameter of an operation that needs a credential."""


def credential_of(request: Request) -> Credential:
    """The first credential present, good or bad. Raises Unauthenticated when there is none."""
    credential = header_credential(request)
    if credential is not None:
        return credential
    if COOKIE in request.cookies:
        return Credential("cookie", request.cookies[COOKIE])
    raise Unauthenticated("A credential is needed: Authorization: Bearer, X-API-Key, or the cookie vai_token.")


def header_credential(request: Request) -> Credential | None:
    """The same of the headers alone, without the cookie. Raises Unauthenticated for a scheme other than Bearer."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("The Authorization header has to be: Bearer, a space, and the key.")
        return Credential("bearer", secret.strip())
    key = request.headers.get("x-api-key")
    return None if key is None else Credential("api_key", key)


def refuse_other_origins(request: Request) -> None:
    """Raise Problem 403 if a browser says that another site's page sent this.

    Browsers send Sec-Fetch-Site or Origin with every such request, and pages cannot change them; a client
    that sends neither is no browser, and nobody can make it send its cookie.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_same = site in ("same-origin", "none")
    elif origin is not None:
        # The scheme is left out: behind a proxy that ends TLS the two differ.
        is_same = origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
    else:
        is_same = True
    if not is_same:
        detail = "A request with the cookie that changes something has to come from this server's own pages."
        raise Problem(403, "other-origin", detail)
