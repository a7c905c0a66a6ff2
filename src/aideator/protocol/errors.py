"""Stable codes of everything that can end an attempt or a run, each with its remedy."""

import re
from enum import StrEnum

_TRACE_MARK = re.compile(r"\s*\[traceparent:[^]]*\]")


class ErrorCode(StrEnum):
    """Why a variation ended as ``failed``, ``cancelled`` or ``interrupted``."""

    # The model's side.
    MISSING_API_KEY = "missing_api_key"
    AUTHENTICATION_FAILED = "authentication_failed"
    PERMISSION_DENIED = "permission_denied"
    CREDIT_EXHAUSTED = "credit_exhausted"
    MODEL_NOT_FOUND = "model_not_found"
    INVALID_REQUEST = "invalid_request"
    REQUEST_TOO_LARGE = "request_too_large"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    API_ERROR = "api_error"
    CONNECTION_FAILED = "connection_failed"
    STREAM_BROKEN = "stream_broken"
    STREAM_STALLED = "stream_stalled"
    REFUSAL = "refusal"
    # The repository's side.
    REPOSITORY_NOT_FOUND = "repository_not_found"
    REPOSITORY_UNREACHABLE = "repository_unreachable"
    REPOSITORY_EMPTY = "repository_empty"
    REF_NOT_FOUND = "ref_not_found"
    REPOSITORY_TOO_LARGE = "repository_too_large"
    # The sandbox's side.
    GIT_MISSING = "git_missing"
    BASE_IMAGE_UNSUPPORTED = "base_image_unsupported"
    SETUP_FAILED = "setup_failed"
    SANDBOX_FAILED = "sandbox_failed"
    AGENT_CRASHED = "agent_crashed"
    TIMED_OUT = "timed_out"
    DISK_FULL = "disk_full"
    SECRET_IN_PATCH = "secret_in_patch"  # noqa: S105  # A word for what happened.
    STORAGE_FAILED = "storage_failed"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_LOST = "engine_lost"
    # Somebody's decision, or the gateway's own end.
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def remedy(self) -> str:
        """One sentence that tells a person what to do about it."""
        return REMEDIES[self]


REMEDIES: dict[ErrorCode, str] = {
    ErrorCode.MISSING_API_KEY: (
        "Set ANTHROPIC_API_KEY, or the variable that the provider's table names, or try the "
        "product without a key with --demo."
    ),
    ErrorCode.AUTHENTICATION_FAILED: (
        "Check that the API key is right and belongs to the server it is sent to."
    ),
    ErrorCode.PERMISSION_DENIED: "Ask the key's owner for access to this model, or use another.",
    ErrorCode.CREDIT_EXHAUSTED: "Add credit to the account that the API key belongs to.",
    ErrorCode.MODEL_NOT_FOUND: "Check the model's name; your key may not have access to it.",
    ErrorCode.INVALID_REQUEST: "Check the settings of this variation against the message.",
    ErrorCode.REQUEST_TOO_LARGE: "Shorten the prompt or the instructions.",
    ErrorCode.RATE_LIMITED: "Wait, run fewer variations at once, or raise the account's limits.",
    ErrorCode.OVERLOADED: "Try again in a few minutes, or use another model.",
    ErrorCode.API_ERROR: "Try again; if it stays, look at the model provider's status page.",
    ErrorCode.CONNECTION_FAILED: "Check the network, and the base URL if one is set.",
    ErrorCode.STREAM_BROKEN: "Try again; a proxy that cuts long responses also does this.",
    ErrorCode.STREAM_STALLED: "Try again; a proxy that holds responses back also does this.",
    ErrorCode.REFUSAL: "Rephrase the prompt: the model declined it.",
    ErrorCode.REPOSITORY_NOT_FOUND: "Check the URL; private repositories look the same as none.",
    ErrorCode.REPOSITORY_UNREACHABLE: "Check the network and the URL, then run again.",
    ErrorCode.REPOSITORY_EMPTY: "Push at least one commit, then run again.",
    ErrorCode.REF_NOT_FOUND: "Name an existing branch, tag or full commit id.",
    ErrorCode.REPOSITORY_TOO_LARGE: (
        "Use a smaller repository, or have --max-repo-bytes or --max-repo-files raised."
    ),
    ErrorCode.GIT_MISSING: "Install git and make sure that it is on PATH.",
    ErrorCode.BASE_IMAGE_UNSUPPORTED: (
        "Name a base image with Python 3.11 or newer, and with git or a package manager."
    ),
    ErrorCode.SETUP_FAILED: "Correct the setup command; its output is in the message.",
    ErrorCode.SANDBOX_FAILED: "Look at the gateway's log for what the sandbox said.",
    ErrorCode.AGENT_CRASHED: "Run again; if it stays, report it with the transcript.",
    ErrorCode.TIMED_OUT: "Raise max_seconds, or look in the transcript for what took so long.",
    ErrorCode.DISK_FULL: "Free disk space, then run again.",
    ErrorCode.SECRET_IN_PATCH: (
        "Take the API key out of the prompt and the repository, then run again."
    ),
    ErrorCode.STORAGE_FAILED: (
        "See what /readyz and the gateway's log say about its database, then run again."
    ),
    ErrorCode.ENGINE_UNAVAILABLE: (
        "Start a Dagger engine, or use --backend local; later runs work as soon as it answers."
    ),
    ErrorCode.ENGINE_LOST: "Run again once the Dagger engine answers.",
    ErrorCode.CANCELLED: "Run again if it was not meant.",
    ErrorCode.INTERRUPTED: "The gateway stopped before the attempt ended; run again.",
}


def engine_words(message: str) -> str:
    """Return what a Dagger engine said without the marks that are for its own traces."""
    return _TRACE_MARK.sub("", message).strip()
