"""Who calls: the first credential that is present decides; the cookie is good for same-origin changes only."""

from typing import Annotated, NamedTuple

from fastapi import Cookie, Depends, Header, Request

from vai.access import Principal, Unauthenticated
from vai.api.doors import doors_of
from vai.api.problems import Problem

COOKIE = "vai_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Authorization = Annotated[str | None, Header(description="`Bearer` and an API key or a session token.")]
ApiKeyHeader = Annotated[str | None, Header(alias="X-API-Key", description="An API key.")]
TokenCookie = Annotated[str | None, Cookie(description="The session that `POST /auth/session` opened.")]


class Credential(NamedTuple):
    """The credential that decides. `method`: bearer, api_key or cookie."""

    method: str
    secret: str


async def principal(
    request: Request,
    authorization: Authorization = None,
    x_api_key: ApiKeyHeader = None,
    vai_token: TokenCookie = None,
) -> Principal:
    """The caller. Raises Unauthenticated, or Problem 403 for a change from another origin by cookie."""
    credential = pick(authorization, x_api_key, vai_token)
    if credential is None:
        raise Unauthenticated("A credential is needed: Authorization: Bearer, X-API-Key, or the cookie vai_token.")
    if credential.method == "cookie" and request.method not in _SAFE_METHODS:
        refuse_other_origins(request)
    return await doors_of(request).access.authenticate(credential.secret)


Caller = Annotated[Principal, Depends(principal)]
"""The parameter of an operation that needs a credential."""


def pick(authorization: str | None, x_api_key: str | None, vai_token: str | None) -> Credential | None:
    """The first credential present, good or bad. Raises Unauthenticated for a scheme other than Bearer."""
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("The Authorization header has to be: Bearer, a space, and the key.")
        return Credential("bearer", secret.strip())
    if x_api_key is not None:
        return Credential("api_key", x_api_key)
    if vai_token is not None:
        return Credential("cookie", vai_token)
    return None


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
