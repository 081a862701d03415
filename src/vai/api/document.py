"""The OpenAPI document: what the framework derives from the routes, and what it cannot know of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vai.api import models
from vai.api.credentials import PARAMETERS
from vai.api.problems import PROBLEM_TYPE

_REF = "#/components/schemas/{model}"
_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "vai_token"},
}
_INVALID = {
    "description": "Validation Error",
    "content": {"application/json": {"schema": {"$ref": _REF.format(model="HTTPValidationError")}}},
}
_MEANINGS = {
    "401": "The credential is missing or not good.",
    "403": "Not allowed.",
    "404": "There is no such thing in this organization.",
    "409": "It does not fit the present state.",
    "413": "The body is too large.",
    "415": "The body is not sent as JSON.",
    "503": "Just now it cannot be served; try again.",
}


def body(model: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """What to add to an operation whose body is read as `model`."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": required}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What to add to an operation that may answer these problems, beside 401 and 503."""
    schema = {"$ref": _REF.format(model="Problem")}
    content = {PROBLEM_TYPE: {"schema": schema}}
    return {status: {"description": _MEANINGS[str(status)], "content": content} for status in (401, *statuses, 503)}


def build(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, bodies = models_json_schema([(model, "validation") for model in models.REQUESTS], ref_template=_REF)
    schemas.update(bodies["$defs"])
    schemas["Problem"] = _schema(models.ProblemBody)
    # The framework's own item has fields that the contract has not.
    schemas["ValidationError"] = _schema(models.ValidationErrorItem)
    schemas["HTTPValidationError"]["required"] = ["detail"]
    components["securitySchemes"] = _SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            _add_credentials(operation)
            if "requestBody" in operation:
                operation["responses"].setdefault("422", _INVALID)
    return document


def _add_credentials(operation: dict[str, Any]) -> None:
    """Whatever may answer 401 takes the three credentials, unless it says otherwise."""
    if "401" in operation["responses"] and "security" not in operation:
        operation["parameters"] = [*operation.get("parameters", ()), *PARAMETERS]
        operation["security"] = [{name: []} for name in _SCHEMES]


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(ref_template=_REF)
