"""Who calls, and whether the service can work."""

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict

from vai.api.models.common import Answer, Request


class Organization(Answer):
    """An organization."""

    id: str
    name: str
    slug: str
    tenant_status: str


class OpenSessionRequest(Request):
    """The API key, where it is not in a header."""

    api_key: str | None = None


class OpenedSession(Answer):
    """A session was opened; its token is in the cookie."""

    expires_at: AwareDatetime
    organization_id: str


class Session(Answer):
    """How the caller is known."""

    auth_method: Literal["bearer", "api_key", "cookie"]
    organization: Organization
    organization_id: str
    role: str
    session_id: str
    token_type: Literal["api_key", "session"]


class Me(Answer):
    """Who calls; `user` is null until people can sign in."""

    session: Session
    user: dict[str, Any] | None


class Health(Answer):
    """Whether the service can work."""

    model_config = ConfigDict(extra="allow")

    status: str
