"""`http_request`: the kind and its definition. The exchange itself, with httpx, is in `http_exchange`."""

import importlib
from typing import Annotated, Any, Literal

import anyio.to_thread
from pydantic import Field, ValidationInfo, field_validator, model_validator

from vai.actions.checking import ConnectionRef, Definition
from vai.actions.kind import Kind
from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionContext

MEBIBYTE = 1 << 20
Scalar = str | int | float | bool


class HttpDefinition(Definition):
    """One request, and what counts as a good answer."""

    connection_ref: ConnectionRef | None = Field(None, description="The connection to sign in with")
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field("", validate_default=True, description="With a connection's baseUrl: what comes behind it")
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, Scalar | list[Scalar] | None] = Field(default_factory=dict)
    json_: Any = Field(None, alias="json", description="Sent as JSON")
    body: str | None = Field(None, description="Sent as it is")
    expected_statuses: list[Annotated[int, Field(ge=100, le=599)]] | None = Field(
        None, description="Statuses that count as success; default: 200 to 299"
    )
    timeout_seconds: float = Field(30, gt=0, le=86_400, description="For the whole exchange")
    follow_redirects: bool = False
    max_response_bytes: int = Field(10 * MEBIBYTE, ge=0, le=256 * MEBIBYTE)
    save_as: str | None = Field(None, min_length=1, max_length=255, description="Keep the body as a file of this name")

    @field_validator("method", mode="before")
    @classmethod
    def _upper(cls, method: Any) -> Any:
        return method.upper() if isinstance(method, str) and "{{" not in method else method

    @field_validator("url")
    @classmethod
    def _absolute(cls, url: str, info: ValidationInfo) -> str:
        if info.data.get("connection_ref") is None and not url.lower().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://" if url else "is required")
        return url

    @field_validator("follow_redirects")
    @classmethod
    def _stays(cls, follow: bool, info: ValidationInfo) -> bool:
        if follow and info.data.get("connection_ref") is not None:
            raise ValueError("with a connectionRef it would send the credentials to other servers")
        return follow

    @model_validator(mode="before")
    @classmethod
    def _one_body(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("json") is not None and given.get("body") is not None:
            raise ValueError("give json or body, not both")
        return given


class HttpRequest(Kind):
    """The kind `http_request`."""

    kind = "http_request"
    title = "HTTP request"
    description = (
        "Sends a request and answers {status, headers, json, text or file, elapsedSeconds}. Requests other than "
        "GET carry an Idempotency-Key. Time-outs, lost connections, 408, 429 and 5xx can be retried."
    )

    def __init__(self, *, traces: bool = False) -> None:
        """`traces`: send the step's place in the run's trace along, as the header `traceparent`."""
        super().__init__(HttpDefinition)
        self._traces = traces
        self._exchange: Any = None

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Send it. ActionFailed `http_<status class>`, `http_429`, `timeout`, `connection_error` or
        `response_too_large`."""
        request = self.parse(definition)
        if self._exchange is None:
            # httpx takes a quarter of a second to import; a server that never needs it starts without it.
            module = await anyio.to_thread.run_sync(importlib.import_module, "vai.actions.http_exchange")
            self._exchange = module.Exchange(self._traces)
        return await stop_on_cancel(self._exchange.send(request, context), context)
