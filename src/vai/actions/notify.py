"""`notify`: a message to people and services with Apprise, in a child process (`notify_child`)."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Discriminator, Field, SecretStr
from pydantic import Tag as Member

from vai.actions.checking import ConnectionRef, Definition, ref_of
from vai.actions.kind import Kind
from vai.actions.process import Processes, Work
from vai.actions.secrets import revealed, secrets_of
from vai.ports import ActionContext, ActionFailed

MAX_TARGETS = 100
MIN_SECRET = 8
WORDS = re.compile(r"[a-z_-]+\Z")  # parts of an address that are no tokens, and that one has to read elsewhere
Tag = Annotated[str, Field(min_length=1, max_length=100)]


def _address(url: SecretStr) -> SecretStr:
    scheme, separator, rest = url.get_secret_value().strip().partition("://")
    if not (scheme and separator and rest):
        raise ValueError("must be an address such as mailto://… or slack://…")
    return url


Address = Annotated[SecretStr, AfterValidator(_address)]


class Target(Definition):
    """A place that the message goes to."""

    url: Address = Field(description="Apprise's address of it")
    name: str | None = Field(None, min_length=1, max_length=100, description="What the result calls it")
    tags: list[Tag] = Field(default_factory=list)


class ConnectedTarget(Definition):
    """A place whose address is the credential `url` of a connection"""

    connection_ref: ConnectionRef
    name: str | None = Field(None, min_length=1, max_length=100, description="What the result calls it")
    tags: list[Tag] = Field(default_factory=list)


def _form(given: Any) -> str:
    if isinstance(given, dict):
        return "connection" if "connectionRef" in given else "target"
    return {Target: "target", ConnectedTarget: "connection"}.get(type(given), "address")


Place = Annotated[
    Annotated[Address, Member("address")]
    | Annotated[Target, Member("target")]
    | Annotated[ConnectedTarget, Member("connection")],
    Discriminator(_form),
]


class NotifyDefinition(Definition):
    """One message, and where it goes."""

    title: str = Field("", max_length=1_000)
    body: str = Field(min_length=1, max_length=1_000_000)
    urls: list[Place] = Field(
        min_length=1, max_length=MAX_TARGETS, description="Addresses of Apprise, or connections that hold one"
    )
    format: Literal["text", "markdown", "html"] = Field("text", description="What the body is written in")
    type: Literal["info", "success", "warning", "failure"] = "info"
    tag: str | None = Field(None, min_length=1, description="Only to the targets that have this tag")


class Notify(Kind):
    """The kind `notify`."""

    kind = "notify"
    title = "Notify"
    description = (
        "Sends a message to chats, mailboxes, telephones and webhooks, each by an address of Apprise. The result "
        "holds {sent, targets}. One target that is not reached fails the step."
    )
    extra: str | None = "notify"
    needs = ("apprise",)

    def __init__(self, processes: Processes) -> None:
        super().__init__(NotifyDefinition)
        self._processes = processes

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Send it. ActionFailed `notify_failed` (retryable), `invalid_target`, `no_target` or
        `invalid_connection`."""
        asked: NotifyDefinition = self.parse(definition)
        notice = asked.model_copy(update={"urls": [_addressed(place, context) for place in asked.urls]})
        secrets = secrets_of(notice) | _parts_of_addresses(notice)
        return await self._processes.run(Work("vai.actions.notify_child:run", revealed(notice), secrets), context)


def _addressed(place: Any, context: ActionContext) -> Any:
    """The place with its address, which a connection may hold."""
    if not isinstance(place, ConnectedTarget):
        return place
    connection = context.connection(ref_of(place.connection_ref))
    try:
        url = _address(SecretStr(str(connection.credentials.get("url") or "")))
    except ValueError as error:
        sentence = f"The credential url of the connection {connection.slug} {error}"
        raise ActionFailed("invalid_connection", sentence) from None
    return Target(url=url, name=place.name or connection.slug, tags=place.tags)


def _parts_of_addresses(notice: NotifyDefinition) -> frozenset[str]:
    """Tokens stand anywhere in an address: as its host, in its path, in its query."""
    found: set[str] = set()
    for target in notice.urls:
        if isinstance(target, ConnectedTarget):
            continue
        address = (target.url if isinstance(target, Target) else target).get_secret_value()
        _, _, rest = address.partition("://")
        place, _, query = rest.partition("?")
        found.update(place.split("/")[1:])
        found.update(pair.partition("=")[2] for pair in query.split("&"))
        found.update(_user_of(address))
    parts = {part for text in found for part in (text, unquote(text))}
    return frozenset(part for part in parts if len(part) >= MIN_SECRET and not WORDS.match(part))


def _user_of(address: str) -> list[str]:
    try:
        user = urlsplit(address).username
    except ValueError:
        return []
    return [user] if user else []
