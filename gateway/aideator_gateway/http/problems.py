"""Errors of the HTTP API: RFC 9457 problem details with a stable ``code``."""

from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from aideator.protocol.findings import findings
from aideator_gateway.runs.problems import FieldError, Problem
from aideator_gateway.runs.storage import StorageError

PROBLEM_JSON = "application/problem+json"


class ProblemDetails(BaseModel):
    """The body of every error response (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []


CODES: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not a JSON object"),
    "invalid_header": (400, "A header cannot be used"),
    "host_not_allowed": (400, "The Host header is not one of this server's names"),
    "unauthorized": (401, "A bearer token is needed"),
    "origin_not_allowed": (403, "This Origin may not call the server"),
    "not_found": (404, "Not found"),
    "run_not_found": (404, "There is no such run"),
    "variation_not_found": (404, "There is no such variation"),
    "experiment_not_found": (404, "There is no such experiment"),
    "judgment_not_found": (404, "There is no such judgment"),
    "patch_not_found": (404, "There is no patch"),
    "method_not_allowed": (405, "Method not allowed"),
    "variation_not_completed": (409, "Only a completed variation can be selected"),
    "run_active": (409, "The run has not ended"),
    "run_deleted": (410, "The run was deleted"),
    "patch_too_large": (409, "The patch is too large to be kept"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body must be application/json"),
    "invalid_request": (422, "The request has a field that cannot be used"),
    "idempotency_conflict": (422, "The Idempotency-Key was used for another request"),
    "day_cost_reached": (429, "Today's runs have cost all that they may"),
    "queue_full": (429, "Too many runs wait for their turn"),
    "internal_error": (500, "The server failed"),
    "journal_unusable": (500, "What is written down of the experiment cannot be used"),
    "experiments_not_installed": (501, "This install cannot compute figures of experiments"),
    "report_failed": (503, "The report could not be made"),
    "downloads_busy": (503, "Too many patches and transcripts are being sent"),
    "storage_unavailable": (503, "The database cannot be used for now"),
    "stopping": (503, "The server is stopping"),
    "too_many_connections": (503, "Too many clients are connected"),
    "disk_low": (507, "Too little of the disk is left"),
}
"""Every ``code`` the API answers with: HTTP status and title."""


def details(problem: Problem) -> ProblemDetails:
    """Return the body of the response to a problem."""
    status, title = CODES[problem.code]
    return ProblemDetails(
        title=title, status=status, detail=problem.detail, code=problem.code, errors=problem.errors
    )


def response(problem: Problem) -> Response:
    """Return the whole response to a problem."""
    body = details(problem)
    headers = {"WWW-Authenticate": "Bearer"} if body.status == 401 else {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return JSONResponse(
        body.model_dump(), status_code=body.status, media_type=PROBLEM_JSON, headers=headers
    )


def from_validation(error: ValidationError, model: type[BaseModel]) -> Problem:
    """Turn pydantic's findings about a ``model`` into one problem that names every field."""
    errors = []
    for found in findings(error, model):
        if found.kind in ("json_invalid", "model_type") and not found.path:
            return Problem("invalid_json", f"Send a JSON object as the body: {found.message}")
        errors.append(FieldError(field=found.field or "body", message=found.message))
    return Problem("invalid_request", "; ".join(f"{e.field}: {e.message}" for e in errors), errors)


async def on_problem(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer a ``Problem``."""
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type alone
    return response(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette's router refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    if error.status_code == 405:
        problem = Problem(
            "method_not_allowed", f"{request.method} is not supported by {request.url.path}."
        )
    else:
        problem = Problem("not_found", f"There is nothing at {request.url.path}.")
    answer = response(problem)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    if error.status_code == 405:
        # The router says what a path takes; files say nothing, and are only read.
        answer.headers.setdefault("Allow", "GET, HEAD")
    return answer


async def on_storage(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer what the database refused."""
    assert isinstance(error, StorageError)  # noqa: S101 - registered for this type alone
    detail = f"{error.message} GET /readyz says when it is well again; send the request then."
    return response(Problem("storage_unavailable", detail))


async def on_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer nobody: the client left in the middle of its request, which is no defect."""
    return Response(status_code=400)


async def on_crash(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer what nobody expected; the traceback is in the log."""
    return response(Problem("internal_error", "This is a defect; the server's log has more."))


HANDLERS: dict[Any, Any] = {
    Problem: on_problem,
    StorageError: on_storage,
    ClientDisconnect: on_disconnect,
    HTTPException: on_http_exception,
    Exception: on_crash,
}
