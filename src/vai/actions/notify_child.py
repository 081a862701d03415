"""`notify` inside a child process: one target after another, each outcome told."""

import logging
import os
import re
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyBase

from vai.actions.child_context import ChildContext
from vai.actions.messages import Stopped
from vai.ports import ActionFailed

# Services whose host is a machine; with any other the host may be a token.
WITH_HOST = re.compile(r"(?:json|xml|form|mailto|gotify|mmost|mqtt)s?\Z")
MAX_REASON = 300


class Lines(logging.Handler):
    """Keeps what Apprise says of a target that it does not reach."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def reason(self) -> str:
        """What was said since it was last asked."""
        texts, self.texts = self.texts, []
        return " ".join(texts)[:MAX_REASON] or "It gave no reason."


def run(request: dict[str, Any], context: ChildContext) -> dict[str, Any]:
    """The result of a NotifyDefinition. Raises ActionFailed."""

    def stop() -> None:
        context.send(Stopped())  # a request under way ends with the process
        os._exit(0)

    context.on_cancel(stop)
    targets = [target if isinstance(target, dict) else {"url": target} for target in request["urls"]]
    if request["tag"] is not None:
        targets = [target for target in targets if request["tag"] in target.get("tags", ())]
        if not targets:
            raise ActionFailed("no_target", f"None of the targets has the tag {request['tag']!r}.")
    lines = Lines()
    logger = logging.getLogger("apprise")
    logger.addHandler(lines)
    logger.propagate = False
    # Every address is read before anything is sent: a retry would send again what the others have by then.
    services = [_service(target, number, lines) for number, target in enumerate(targets)]
    outcomes: list[dict[str, Any]] = []
    for target, service in zip(targets, services, strict=True):
        outcomes.append({"target": target.get("name") or _shown(service), **_send(service, request, lines)})
        context.progress(phase="sending", done=len(outcomes), total=len(services))
    return _result(outcomes)


def _service(target: dict[str, Any], number: int, lines: Lines) -> NotifyBase:
    asset = AppriseAsset(app_id="vai", app_desc="vai", app_url="", async_mode=False, secure_logging=True)
    service = Apprise.instantiate(target["url"].strip(), asset=asset)
    if not isinstance(service, NotifyBase):
        scheme = target["url"].strip().partition("://")[0]
        name = target.get("name") or f"{scheme}://…"
        sentence = f"The target {name} (urls[{number}]) is not an address that Apprise can read: {lines.reason()}"
        raise ActionFailed("invalid_target", sentence, details={"target": name})
    return service


def _shown(service: NotifyBase) -> str:
    """The service, and the machine where it has one; never what stands in its path or query."""
    address: str = service.url(privacy=True)  # type: ignore[no-untyped-call]
    scheme = address.partition("://")[0]
    if not (WITH_HOST.match(scheme) and service.host):
        return f"{scheme}://…"
    return f"{scheme}://{service.host}:{service.port}" if service.port else f"{scheme}://{service.host}"


def _send(service: NotifyBase, request: dict[str, Any], lines: Lines) -> dict[str, Any]:
    server = Apprise(asset=service.asset)
    server.add(service)
    reached = server.notify(
        body=request["body"],
        title=request["title"],
        notify_type=request["type"],
        body_format=request["format"],
        interpret_escapes=False,
    )
    return {"sent": True} if reached else {"sent": False, "reason": lines.reason()}


def _result(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    failed = [outcome for outcome in outcomes if not outcome["sent"]]
    result = {"sent": len(outcomes) - len(failed), "targets": outcomes}
    if failed:
        reasons = "; ".join(f"{outcome['target']}: {outcome['reason']}" for outcome in failed[:5])
        sentence = f"{len(failed)} of {len(outcomes)} targets were not reached: {reasons}"
        raise ActionFailed("notify_failed", sentence, retryable=True, details=result)
    return result
