"""What an error of the model's server means, and whether to try again."""

import email.utils
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from aideator.protocol.errors import ErrorCode

_TYPES = {
    "authentication_error": ErrorCode.AUTHENTICATION_FAILED,
    "billing_error": ErrorCode.CREDIT_EXHAUSTED,
    "permission_error": ErrorCode.PERMISSION_DENIED,
    "not_found_error": ErrorCode.MODEL_NOT_FOUND,
    "request_too_large": ErrorCode.REQUEST_TOO_LARGE,
    "invalid_request_error": ErrorCode.INVALID_REQUEST,
    "rate_limit_error": ErrorCode.RATE_LIMITED,
    "overloaded_error": ErrorCode.OVERLOADED,
    "timeout_error": ErrorCode.API_ERROR,
    "api_error": ErrorCode.API_ERROR,
}

_STATUSES = {
    400: ErrorCode.INVALID_REQUEST,
    401: ErrorCode.AUTHENTICATION_FAILED,
    402: ErrorCode.CREDIT_EXHAUSTED,
    403: ErrorCode.PERMISSION_DENIED,
    404: ErrorCode.MODEL_NOT_FOUND,
    413: ErrorCode.REQUEST_TOO_LARGE,
    422: ErrorCode.INVALID_REQUEST,
    429: ErrorCode.RATE_LIMITED,
    529: ErrorCode.OVERLOADED,
}

_PASSING = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.OVERLOADED,
        ErrorCode.API_ERROR,
        ErrorCode.CONNECTION_FAILED,
        ErrorCode.STREAM_BROKEN,
        ErrorCode.STREAM_STALLED,
    }
)

_MAX_MESSAGE = 2000


_WAITS = {
    "rate_limited": "the model's server limits requests",
    "overloaded": "the model's server is overloaded",
    "busy": "as many requests as are allowed at once are under way",
    "pacing": "the first requests to a model's server go one after the other",
}

_REFUSALS = {
    "upstream_unreachable": ErrorCode.CONNECTION_FAILED,
    "upstream_untrusted": ErrorCode.CONNECTION_FAILED,
    "upstream_silent": ErrorCode.STREAM_STALLED,
    "provider_unusable": ErrorCode.MISSING_API_KEY,
}
"""Codes of what a broker could not do; it has an own status for none of them."""

_LONGEST_WAIT = 600.0


class ToWait(Exception):  # noqa: N818  # An answer, raised to leave the request.
    """A broker says that a request has its turn later, or had.

    Parameters
    ----------
    cause
        A stable word.
    seconds
        When to ask again.
    """

    def __init__(self, cause: str, seconds: float) -> None:
        super().__init__(cause)
        self.cause = cause
        self.seconds = seconds
        self.message = _WAITS.get(cause, f"the broker asks for it ({cause})")


class LimitReached(Exception):  # noqa: N818  # An answer, raised to leave the request.
    """A broker says that no more may be spent; the text is for people."""


class ModelFailure(Exception):  # noqa: N818  # Data about a request, raised to leave it.
    """One request failed.

    Parameters
    ----------
    retry_after
        Seconds that the server asks to wait.
    final
        Not to be repeated, although its code would allow it.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        retry_after: float | None = None,
        *,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.passing = code in _PASSING and not final
        """Whether the same request may succeed in a while."""


def from_response(status: int, headers: Mapping[str, str], text: str) -> Exception:
    """Return what an HTTP error response means, whose body is ``text`` or begins with it.

    Returns
    -------
    ``ModelFailure``, or what a broker alone says: ``ToWait`` or ``LimitReached``.
    """
    kind, message = _error_of(_parsed(text.strip()))
    if status == 429 and (cause := headers.get("aideator-wait")):
        return ToWait(cause, min(_seconds(headers) or 1.0, _LONGEST_WAIT))
    if status == 403 and "aideator-limit" in headers:
        return LimitReached(message)
    refused = headers.get("aideator-refused", "")
    if code := _REFUSALS.get(refused):
        # Who a server is does not change from one try to the next.
        return ModelFailure(code, message, final=refused == "upstream_untrusted")
    if 300 <= status < 400:
        # Following it could send the key to another host.
        where = headers.get("location", "another address")
        advice = f"The model's server redirects to {where}; set the base URL to that."
        return ModelFailure(ErrorCode.CONNECTION_FAILED, advice, final=True)
    message = message or f"The model's server answered with HTTP status {status}."
    code = _STATUSES.get(status)
    if code is None:
        server_fault = status in (408, 409) or status >= 500
        code = ErrorCode.API_ERROR if server_fault else ErrorCode.INVALID_REQUEST
    if status >= 500 and kind == "overloaded_error":
        code = ErrorCode.OVERLOADED
    return ModelFailure(
        _credit(code, kind, message),
        message,
        _seconds(headers),
        # Not implemented; nor is this version of HTTP.
        final=status in (501, 505),
    )


def from_stream(body: object) -> ModelFailure:
    """Return what an ``error`` event inside a stream means."""
    kind, message = _error_of(body)
    code = _TYPES.get(kind, ErrorCode.API_ERROR)
    message = message or "The model's server reported an error inside the response."
    return ModelFailure(_credit(code, kind, message), message)


def waited(headers: Mapping[str, str]) -> list[ToWait]:
    """Return for what a broker has held back a request before it answered."""
    found = []
    for part in headers.get("aideator-waited", "").split(","):
        cause, _, text = part.strip().partition("=")
        seconds = _seconds({"retry-after": text})
        if cause and seconds is not None:
            found.append(ToWait(cause, seconds))
    return found


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _credit(code: ErrorCode, kind: str, message: str) -> ErrorCode:
    if kind == "billing_error" or "credit balance is too low" in message.lower():
        return ErrorCode.CREDIT_EXHAUSTED
    return code


def _error_of(body: object) -> tuple[str, str]:
    error: Any = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", str(body)[:_MAX_MESSAGE] if isinstance(body, str) else ""
    return str(error.get("type") or ""), str(error.get("message") or "")[:_MAX_MESSAGE]


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    # A date that has passed asks for nothing; a number below zero or without end is nonsense.
    return seconds if math.isfinite(seconds) and seconds > 0 else None
