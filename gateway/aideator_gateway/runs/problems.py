"""What a caller did that cannot be done, with a stable code; HTTP gives it a status."""

from collections.abc import Sequence

from pydantic import BaseModel


class StartError(Exception):
    """A gateway cannot start; the text is for the person who started it: cause and remedy."""


class FieldError(BaseModel):
    """What is wrong with one field of a request, and how to put it right."""

    field: str
    message: str


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An error a caller can act on, raised anywhere below the routes.

    Parameters
    ----------
    code
        A stable word, which HTTP knows the status and title of.
    detail
        What is wrong with this request, and the remedy.
    errors
        What is wrong with which field.
    retry_after
        Seconds after which the same may be accepted.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.retry_after = retry_after


def invalid_field(field: str, message: str) -> Problem:
    """Return the problem of one unusable field."""
    return Problem(
        "invalid_request", f"{field}: {message}", [FieldError(field=field, message=message)]
    )
