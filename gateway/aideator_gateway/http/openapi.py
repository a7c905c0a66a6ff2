"""The OpenAPI 3.1 document, made from the models that validate requests.

``python -m aideator_gateway.http.openapi`` prints it; ``docs/openapi.json`` is a copy that a
test holds to it.
"""

import json
import re
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from aideator_gateway.http.endpoint import Answer, Endpoint
from aideator_gateway.http.endpoints import ENDPOINTS
from aideator_gateway.http.problems import CODES, PROBLEM_JSON, ProblemDetails
from aideator_gateway.http.schemas import TEMPLATE, schemas
from aideator_gateway.runs.frames import STREAM_EVENTS

_PATH = {
    "run_id": {
        "name": "run_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "example": "run_def456",
    },
    "variation_id": {
        "name": "variation_id",
        "in": "path",
        "required": True,
        "description": "1 to the number of variations.",
        # Larger than any database knows is simply no path of this API.
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    },
    "name": {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "Name of an experiment of the data directory.",
        "schema": {"type": "string"},
        "example": "agents-md",
    },
    "judgment_id": {
        "name": "judgment_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "example": "5f0c1c0d7a9e4b21",
    },
}
"""Parameters of paths."""

_ALWAYS = (
    "host_not_allowed", "unauthorized", "origin_not_allowed", "internal_error",
    "storage_unavailable", "too_many_connections",
)  # fmt: skip
"""Codes that every endpoint may answer with."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the HTTP API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AIdeator",
            "version": version("aideator"),
            "summary": "Run one prompt on one Git repository in N attempts and compare them.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas(_requests(), _answers()),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed when the server was started with AIDEATOR_TOKEN.",
                }
            },
        },
    }


_DESCRIPTION = (
    "Start a run, follow its stream, read the patches, select the winner.\n\n"
    "Every error is a problem document (RFC 9457) with a stable `code`:\n\n"
    "| code | status | meaning |\n| --- | --- | --- |\n"
    + "".join(f"| `{code}` | {status} | {title} |\n" for code, (status, title) in CODES.items())
)


def _requests() -> list[type[BaseModel]]:
    return [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]


def _answers() -> list[type[BaseModel]]:
    answers = (answer for endpoint in ENDPOINTS for answer in endpoint.answers.values())
    models = [answer.model for answer in answers if answer.model is not None]
    return [*dict.fromkeys(models), ProblemDetails, *STREAM_EVENTS.values()]


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        path = paths.setdefault(endpoint.path, {})
        if names := re.findall(r"{(\w+)}", endpoint.path):
            path["parameters"] = [_PATH[name] for name in names]
        path[endpoint.method.lower()] = _operation(endpoint)
    return paths


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": ["runs"],
    }
    if endpoint.parameters:
        operation["parameters"] = list(endpoint.parameters)
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": _reference(endpoint.body)}},
        }
    answers = {str(status): _answer(answer) for status, answer in endpoint.answers.items()}
    operation["responses"] = _problems((*_ALWAYS, *endpoint.problems)) | answers
    return operation


def _answer(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        found["content"] = {"application/json": {"schema": _reference(answer.model)}}
    elif answer.media_type is not None:
        content: dict[str, Any] = {"schema": {"type": "string"}}
        if answer.example is not None:
            content["example"] = answer.example
        found["content"] = {answer.media_type: content}
    if answer.headers:
        found["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    return found


def _problems(codes: tuple[str, ...]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in codes:
        by_status.setdefault(str(CODES[code][0]), []).append(code)
    return {
        status: {
            "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in found),
            "content": {PROBLEM_JSON: {"schema": _reference(ProblemDetails)}},
        }
        for status, found in sorted(by_status.items())
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": TEMPLATE.format(model=model.__name__)}


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))  # noqa: T201 - this is what it is for
