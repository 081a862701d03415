"""Connections. No answer has a field for credentials."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from vai.api.models.common import Answer, Name, Request, no_default

ConnectionStatus = Literal["needs_verification", "active", "error"]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Provider = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
MAX_FIELDS = 100
Credentials = Annotated[dict[str, Any], Field(max_length=MAX_FIELDS)]


class Connection(Answer):
    """A connection; of its credentials only the names of the fields."""

    config: dict[str, Any]
    created_at: AwareDatetime
    credential_fields: list[str]
    has_credentials: bool
    id: str
    last_verified_at: AwareDatetime | None
    name: str
    provider: str
    slug: str
    status: ConnectionStatus
    tenant_id: str
    updated_at: AwareDatetime
    verification_error: str | None


class ConnectionList(Answer):
    """Some of the connections, newest first, and how many there are in all."""

    connections: list[Connection]
    has_next: bool
    limit: int
    offset: int
    total: int


class Verification(Answer):
    """What trying a connection told; `verified` is null where its provider cannot be tried."""

    connection: Connection
    message: str
    verified: bool | None


class CreateConnectionRequest(Request):
    """What a connection is made from. The credentials are never shown again."""

    name: Name
    provider: Provider
    slug: Slug | None = Field(None, description="Default: made of the name.")
    config: dict[str, Any] = Field(default={}, description="What is not secret.")
    credentials: Credentials = Field(default={}, description="What is secret.")


class UpdateConnectionRequest(Request):
    """What is to be changed; `credentials` replace all that there were."""

    name: Name = Field(default="", json_schema_extra=no_default)
    provider: Provider = Field(default="", json_schema_extra=no_default)
    slug: Slug = Field(default="", json_schema_extra=no_default)
    config: dict[str, Any] = Field(default={}, json_schema_extra=no_default)
    credentials: Credentials = Field(default={}, json_schema_extra=no_default)
