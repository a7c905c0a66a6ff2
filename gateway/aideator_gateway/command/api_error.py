"""What can come of a call: a refusal, no answer, or one that makes no sense."""

from collections.abc import Sequence

import httpx
from pydantic import BaseModel, ValidationError

from aideator_gateway.runs.problems import FieldError

UNREACHABLE = "unreachable"


class _Refusal(BaseModel):
    """What this command reads of a problem's details."""

    code: str
    detail: str
    errors: list[FieldError] = []


class ApiError(Exception):
    """The gateway refused, or did not answer; the text is for the person who asked.

    Parameters
    ----------
    status
        HTTP status; 0 without an answer.
    code
        The problem's stable code; ``unreachable`` without an answer.
    detail
        What is wrong, and the remedy.
    errors
        What is wrong with which field of the request.
    """

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)


def refused(response: httpx.Response) -> ApiError:
    """Return the error that a response is."""
    try:
        problem = _Refusal.model_validate_json(response.content)
    except ValidationError:
        return ApiError(
            response.status_code, "unknown", f"The gateway answered {response.status_code}."
        )
    return ApiError(response.status_code, problem.code, problem.detail, problem.errors)


def unreachable(url: str, reason: str) -> ApiError:
    """Return the error that nobody answers at ``url``."""
    return ApiError(
        0,
        UNREACHABLE,
        f"The gateway at {url} does not answer ({reason}): see whether it still runs, "
        "then try again.",
    )


def senseless(url: str) -> ApiError:
    """Return the error that an answer is not of this API."""
    return ApiError(
        0,
        "unknown",
        f"What answers at {url} is no gateway that this command understands: "
        "use the same version of both.",
    )


def reason(error: httpx.TransportError) -> str:
    """Return why a connection failed."""
    return str(error) or type(error).__name__
