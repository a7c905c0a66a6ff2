"""The OpenAPI 3.1 document, made from the models that validate requests.

``python -m aideator_gateway.http.openapi`` prints it; ``docs/openapi.json`` is a copy that a
test holds to it.
"""

import json
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from aideator_gateway.http import bodies, cursor
from aideator_gateway.http.problems import CODES, PROBLEM_JSON, ProblemDetails
from aideator_gateway.http.schemas import TEMPLATE, schemas
from aideator_gateway.http.sse import STREAM_EVENTS
from aideator_gateway.runs.model import NewRun, Readiness, Run

_REQUESTS: tuple[type[BaseModel], ...] = (NewRun, bodies.NewSelection, bodies.Cancellation)
_ANSWERS: tuple[type[BaseModel], ...] = (
    bodies.RunCreated,
    bodies.Success,
    Run,
    bodies.RunList,
    bodies.Health,
    Readiness,
    ProblemDetails,
    *STREAM_EVENTS.values(),
)

_RUN_ID = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": "run_def456",
}
_VARIATION_ID = {
    "name": "variation_id",
    "in": "path",
    "required": True,
    "description": "1 to the number of variations.",
    # Larger than any database knows is simply no path of this API.
    "schema": {"type": "integer", "minimum": 0},
    "example": 2,
}
_GUARDED = ("host_not_allowed", "unauthorized", "origin_not_allowed")
_BODY = ("invalid_json", "body_too_large", "unsupported_media_type", "invalid_request")

_STREAM_EXAMPLE = """id: 4
event: message
data: {"variation_id": 1, "type": "agent_output", "content": "Okay, I will start by ", \
"turn": 1, "try": 1, "attempt": 1, "time": 1760000000.0}

id: 981
event: completion
data: {"variation_id": 1, "status": "completed", "stop_reason": "end_turn"}

id: 990
event: error
data: {"variation_id": 3, "status": "failed", "code": "rate_limited", \
"message": "API rate limit exceeded."}

id: 995
event: end
data: {"status": "completed"}
"""


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
            "schemas": schemas(_REQUESTS, _ANSWERS),
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


def _paths() -> dict[str, Any]:
    return {
        "/runs": {
            "post": _operation(
                "createRun",
                "Create a new agent run",
                {"202": _created()},
                (*_BODY, "invalid_header", "idempotency_conflict", "run_deleted", "stopping"),
                parameters=[
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "description": (
                            "The same body under the same key is the same run; another body "
                            "is refused, and so is the key of a run that was deleted."
                        ),
                        "schema": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 255,
                            "pattern": "^[!-~]([ -~]*[!-~])?$",
                        },
                    }
                ],
                body=NewRun,
            ),
            "get": _operation(
                "listRuns",
                "List runs, newest first",
                {"200": _json("A page of runs.", bodies.RunList)},
                ("invalid_request",),
                parameters=[
                    {
                        "name": "limit",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    },
                    {
                        "name": "cursor",
                        "in": "query",
                        "description": (
                            "`next` of the page before; good also when its run was deleted."
                        ),
                        "schema": {"type": "string", "pattern": cursor.PATTERN},
                    },
                    {
                        "name": "search",
                        "in": "query",
                        "description": (
                            "Part of a prompt, a repository, a run's id, a label or a style; "
                            "case counts for nothing."
                        ),
                        "schema": {"type": "string", "maxLength": bodies.BRIEF},
                    },
                ],
            ),
        },
        "/runs/{run_id}": {
            "parameters": [_RUN_ID],
            "get": _operation(
                "getRun", "Get a run", {"200": _json("The run.", Run)}, ("run_not_found",)
            ),
            "delete": _operation(
                "deleteRun",
                "Delete a run that has ended, with its log and patches",
                {"204": {"description": "Deleted."}},
                ("run_not_found", "run_active"),
            ),
        },
        "/runs/{run_id}/stream": {"parameters": [_RUN_ID], "get": _stream()},
        "/runs/{run_id}/select": {
            "parameters": [_RUN_ID],
            "post": _operation(
                "selectVariation",
                "Persist the winning variation; selecting again replaces it, and history is kept",
                {"200": _json("Selection successfully recorded.", bodies.Success)},
                (*_BODY, "run_not_found", "variation_not_found", "variation_not_completed"),
                body=bodies.NewSelection,
            ),
        },
        "/runs/{run_id}/cancel": {
            "parameters": [_RUN_ID],
            "post": _operation(
                "cancelRun",
                "Stop what still runs; a run that has ended stays as it is",
                {"200": _json("The run, ended.", Run)},
                (*_BODY, "run_not_found"),
                body=bodies.Cancellation,
                body_required=False,
            ),
        },
        "/runs/{run_id}/variations/{variation_id}/patch": {
            "parameters": [_RUN_ID, _VARIATION_ID],
            "get": _operation(
                "getPatch",
                "Get a variation's patch, which `git apply` takes",
                {
                    "200": {
                        "description": "A unified diff, byte for byte.",
                        "content": {"text/x-diff": {"schema": {"type": "string"}}},
                    }
                },
                ("run_not_found", "variation_not_found", "patch_not_found", "patch_too_large"),
            ),
        },
        "/runs/{run_id}/variations/{variation_id}/transcript": {
            "parameters": [_RUN_ID, _VARIATION_ID],
            "get": _operation(
                "getTranscript",
                "Get the lines that a variation's agent wrote",
                {
                    "200": {
                        "description": "One JSON object a line.",
                        # No generator knows a type of JSON lines, and some drop the answer.
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    }
                },
                ("run_not_found", "variation_not_found"),
            ),
        },
        "/healthz": {
            "get": _operation(
                "health", "The server lives", {"200": _json("It does.", bodies.Health)}
            )
        },
        "/readyz": {
            "get": _operation(
                "readiness",
                "Whether a run could start now, and where",
                {
                    "200": _json("It could.", Readiness),
                    "503": _json("It could not; `reason` says why.", Readiness),
                },
            )
        },
        "/metrics": {
            "get": _operation(
                "metrics",
                "Figures for Prometheus",
                {
                    "200": {
                        "description": "Prometheus text format.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    }
                },
            )
        },
    }


def _operation(
    name: str,
    summary: str,
    answers: dict[str, Any],
    errors: tuple[str, ...] = (),
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
    body_required: bool = True,
) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "tags": ["runs"]}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {
            "required": body_required,
            "content": {"application/json": {"schema": _reference(body)}},
        }
    always = (*_GUARDED, "internal_error", "storage_unavailable")
    operation["responses"] = _problems((*always, *errors)) | answers
    return operation


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


def _json(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": _reference(model)}},
    }


def _created() -> dict[str, Any]:
    text = "Accepted for processing. The client should now connect to the stream_url."
    header = {"description": "Path of the run.", "schema": {"type": "string"}}
    replayed = {
        "description": "`true` if the key had started this run before.",
        "schema": {"type": "string"},
    }
    return _json(text, bodies.RunCreated) | {
        "headers": {"Location": header, "Idempotent-Replayed": replayed}
    }


def _stream() -> dict[str, Any]:
    events = "\n".join(
        f"- `{name}`: data is a `{model.__name__}`. {(model.__doc__ or '').splitlines()[0]}"
        for name, model in STREAM_EVENTS.items()
    )
    return _operation(
        "streamRun",
        "Stream the live thought process for all variations of a run",
        {
            "200": {
                "description": f"Server-Sent Events; every event has an `id`.\n\n{events}",
                "content": {
                    "text/event-stream": {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}
                },
            },
            "204": {"description": "The run has ended and the client has all of it."},
        },
        ("run_not_found", "invalid_header"),
        parameters=[
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Id of the last event received; the stream goes on behind it.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,18}$", "example": "42"},
            }
        ],
    )


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))  # noqa: T201 - this is what it is for
