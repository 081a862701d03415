"""Every error answer of the API: the documented 422 body for invalid requests, problem details for the rest."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vai.access import Unauthenticated
from vai.api.present_decisions import outcome
from vai.automations import HasLiveRuns, NameTaken, PathTaken, VersionConflict
from vai.connections import BadMasterKey, ConnectionChanged, KeyLost, SlugTaken
from vai.definition import InvalidDefinition
from vai.domain.refusals import Refusal, StepKeyNotAllowed, UnknownStep
from vai.ports import BadSignature, DiskFull, Fault, StoreUnavailable, UnreadableBody
from vai.runs import (
    AlreadyDecided,
    IdempotencyMismatch,
    InvalidFields,
    InvalidInput,
    KeyBusy,
    MayNotDecide,
    NotFound,
    NotStartable,
)
from vai.runs.door import Contended

PROBLEM_TYPE = "application/problem+json"
_encode = msgspec.json.Encoder().encode


class Problem(Exception):
    """An error to answer with. `slug` names the class of errors, `more` is what else helps."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = dict(more or {})


class Invalid(Exception):
    """A request that does not fit: answered with the documented 422 body. `loc` of each fault is whole."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.msg for fault in faults))
        self.faults = tuple(faults)


def problem_response(problem: Problem) -> Response:
    """The answer for a problem (RFC 9457)."""
    body = {
        "type": f"/errors/{problem.slug}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    return Response(_encode(body), problem.status, problem.headers, PROBLEM_TYPE)


def invalid_response(faults: Sequence[Fault]) -> Response:
    """The documented 422 answer."""
    return Response(_encode({"detail": items_of(faults)}), 422, media_type="application/json")


def items_of(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Faults as items of the documented body."""
    return [{"loc": fault.loc, "msg": fault.msg, "type": fault.type} for fault in faults]


def faults_of(errors: Sequence[Any], prefix: tuple[str | int, ...] = ()) -> list[Fault]:
    """Pydantic's errors as faults; their `loc` is put behind `prefix`."""
    return [Fault((*prefix, *error["loc"]), _sentence(error["msg"]), error["type"]) for error in errors]


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def below(prefix: tuple[str | int, ...], faults: Sequence[Fault]) -> list[Fault]:
    """The same faults with their `loc` put behind `prefix`."""
    return [Fault((*prefix, *fault.loc), fault.msg, fault.type) for fault in faults]


# --- which exception is which answer -----------------------------------------------------------------------

_PLAIN: dict[type[Exception], tuple[int, str]] = {
    NotFound: (404, "not-found"),
    MayNotDecide: (403, "may-not-decide"),
    BadSignature: (401, "bad-signature"),
    UnreadableBody: (415, "unsupported-media-type"),
    KeyLost: (503, "key-lost"),
    BadMasterKey: (503, "key-lost"),
}

_CONFLICTS: dict[type[Exception], str] = {
    NotStartable: "not-startable",
    IdempotencyMismatch: "idempotency-mismatch",
    NameTaken: "name-taken",
    PathTaken: "path-taken",
    HasLiveRuns: "has-live-runs",
    VersionConflict: "version-conflict",
    SlugTaken: "slug-taken",
    ConnectionChanged: "connection-changed",
}


def problem_of(error: Exception) -> Problem:
    """The problem that an exception of the doors means."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Unauthenticated):
        return Problem(401, "unauthenticated", str(error), headers={"WWW-Authenticate": "Bearer"})
    if isinstance(error, Refusal):
        return Problem(409, _slug_of(error), error.message)
    if isinstance(error, DiskFull):
        detail = "The disk of the database is full; nothing of the request was kept. Free some space, then try again."
        return Problem(503, "disk-full", detail, headers={"Retry-After": "5"})
    if isinstance(error, StoreUnavailable):
        detail = "The database cannot be reached just now; nothing of the request was kept. Try again shortly."
        return Problem(503, "store-unavailable", detail, headers={"Retry-After": "5"})
    if isinstance(error, AlreadyDecided):
        return Problem(409, "already-decided", str(error), more=_decision_of(error))
    if isinstance(error, KeyBusy):
        return Problem(409, "key-busy", str(error), more={"runId": error.run_id})
    if isinstance(error, Contended):
        return Problem(503, "contended", str(error), headers={"Retry-After": "1"})
    status, slug = _PLAIN.get(type(error)) or (409, _CONFLICTS[type(error)])
    return Problem(status, slug, str(error))


def _decision_of(error: AlreadyDecided) -> dict[str, Any]:
    # `status` is the problem's own.
    told = outcome(error.decision)
    return {"decisionId": error.decision.id, "outcome": told.pop("status"), **told}


def _slug_of(error: Exception) -> str:
    name = type(error).__name__
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")


async def _on_problem(_: Request, error: Exception) -> Response:
    return problem_response(problem_of(error))


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (narrows the handler's type)
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = {
        404: "There is nothing at this address. /openapi.json lists what there is.",
        405: "This address does not know this method.",
    }.get(error.status_code, str(error.detail))
    return problem_response(Problem(error.status_code, slug, detail, headers=error.headers))


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return invalid_response(faults_of(error.errors()))


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)  # noqa: S101
    return invalid_response(error.faults)


async def _on_invalid_definition(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidDefinition)  # noqa: S101
    return invalid_response(below(("body", "config"), error.faults))


async def _on_invalid_input(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidInput)  # noqa: S101
    return invalid_response(below(("body", "input"), error.faults))


async def _on_invalid_fields(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidFields)  # noqa: S101
    return invalid_response(below(("body", "fields"), error.faults))


async def _on_step_key(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101
    return invalid_response([Fault(("body", "stepKey"), error.message, _slug_of(error).replace("-", "_"))])


def install(app: FastAPI) -> None:
    """Answer the doors' and the framework's exceptions."""
    own = (Problem, Unauthenticated, Refusal, StoreUnavailable, Contended, KeyBusy, AlreadyDecided)
    for cls in (*own, *_PLAIN, *_CONFLICTS):
        app.add_exception_handler(cls, _on_problem)
    for cls in (UnknownStep, StepKeyNotAllowed):
        app.add_exception_handler(cls, _on_step_key)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Invalid, _on_invalid)
    app.add_exception_handler(InvalidDefinition, _on_invalid_definition)
    app.add_exception_handler(InvalidInput, _on_invalid_input)
    app.add_exception_handler(InvalidFields, _on_invalid_fields)
