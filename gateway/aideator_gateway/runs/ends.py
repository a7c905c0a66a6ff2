"""How the gateway ends a variation, or its check, that did not end by itself."""

from collections.abc import Callable

from aideator.protocol import (
    CancelledEvent,
    CompletedEvent,
    EndEvent,
    ErrorCode,
    FailedEvent,
    InterruptedEvent,
    Status,
    StopReason,
)
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.model import CheckResult, CheckStatus, Variation

Outcome = Callable[[dict[str, object]], EndEvent]
"""Makes a variation's end from its envelope."""


def interrupted(envelope: dict[str, object]) -> EndEvent:
    """End a variation because the gateway ends."""
    return InterruptedEvent.model_validate({**envelope, "type": "interrupted"})


def cancelled(envelope: dict[str, object]) -> EndEvent:
    """End a variation because somebody said so."""
    return CancelledEvent.model_validate({**envelope, "type": "cancelled"})


def failed(code: ErrorCode, message: str) -> Outcome:
    """Return what ends a variation that cannot speak for itself."""

    def end(envelope: dict[str, object]) -> EndEvent:
        return FailedEvent.model_validate(
            {**envelope, "type": "failed", "code": code, "message": message}
        )

    return end


def as_stored(variation: Variation) -> Outcome:
    """Return what ends a variation as its row says it did."""

    def end(envelope: dict[str, object]) -> EndEvent:
        match variation.status:
            case Status.COMPLETED:
                return CompletedEvent.model_validate(
                    {
                        **envelope,
                        "type": "completed",
                        "stop_reason": variation.stop_reason or StopReason.END_TURN,
                        "summary": variation.summary or "",
                    }
                )
            case Status.CANCELLED:
                return cancelled(envelope)
            case Status.FAILED:
                code = variation.code or ErrorCode.SANDBOX_FAILED
                return failed(code, variation.message or "")(envelope)
        return interrupted(envelope)

    return end


def unchecked(command: str, outcome: Outcome, failure: BackendError | None) -> CheckResult:
    """Return what is known of a check that no backend said anything about.

    Parameters
    ----------
    outcome
        How the run ended what had not ended by itself.
    failure
        Why the run as a whole failed, if it did.
    """
    if outcome is cancelled:
        status, why = CheckStatus.CANCELLED, "the run was cancelled."
    elif outcome is interrupted:
        status, why = CheckStatus.INTERRUPTED, "the gateway ended."
    else:
        why = failure.message if failure else "nothing was left to run it on."
        status = CheckStatus.NOT_RUN
    return CheckResult(
        status=status,
        command=command,
        exit_code=None,
        seconds=0.0,
        output=f"There is no result: {why}",
        passed=False,
    )
