"""What the API's fields are called at the shell, so that errors speak of what was typed."""

import re

from aideator.protocol import Limits
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.options import flag

_NAMES = {
    "github_url": "REPOSITORY",
    "prompt": "PROMPT",
    "conditions": "--condition",
    "winning_variation_id": "N",
    "body": "the request",
}

_LIMIT = re.compile(rf"\b(?:{'|'.join(Limits.model_fields)})\b")


def named(field: str) -> str:
    """Return what the field of a request, its parts joined by dots, is called at the shell."""
    first, *rest = field.split(".")
    if first == "conditions" and rest and rest[0].isdigit():
        number = f"--condition {int(rest[0]) + 1}"
        return ": ".join([number, *(part for part in rest[1:] if part != "limits")])
    if first == "limits" and rest:
        return flag(rest[0])
    return _NAMES.get(first) or flag(first)


def error_text(error: ApiError) -> str:
    """Return what the gateway refused, and why."""
    if not error.errors:
        return str(error)
    return "; ".join(f"{named(found.field)}: {found.message}" for found in error.errors)


def with_flags(text: str) -> str:
    """Return one of our own sentences with limits called by their flags."""
    return _LIMIT.sub(lambda match: flag(match[0]), text)
