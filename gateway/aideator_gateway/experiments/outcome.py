"""What became of an attempt, and whether that is the attempt's own doing."""

from dataclasses import dataclass

from aideator.protocol import ErrorCode, Status, StopReason
from aideator_gateway.experiments.plan import SETUP_EXIT, SETUP_FAILED
from aideator_gateway.runs.model import CheckResult, CheckStatus, Run, Variation

OWN_FAILURES = frozenset({ErrorCode.REFUSAL})
"""Failures that are what the condition made of the task, and count as not passed."""

HOPELESS = frozenset(
    {
        ErrorCode.MISSING_API_KEY,
        ErrorCode.AUTHENTICATION_FAILED,
        ErrorCode.PERMISSION_DENIED,
        ErrorCode.CREDIT_EXHAUSTED,
        ErrorCode.MODEL_NOT_FOUND,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.REQUEST_TOO_LARGE,
        ErrorCode.REPOSITORY_NOT_FOUND,
        ErrorCode.REPOSITORY_EMPTY,
        ErrorCode.REF_NOT_FOUND,
        ErrorCode.GIT_MISSING,
        ErrorCode.BASE_IMAGE_UNSUPPORTED,
        ErrorCode.SETUP_FAILED,
        ErrorCode.DISK_FULL,
        ErrorCode.SECRET_IN_PATCH,
    }
)
"""Failures of the harness that come again until somebody does something about them."""

_CHECKED = (CheckStatus.PASSED, CheckStatus.FAILED, CheckStatus.TIMED_OUT)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes
    ----------
    counts
        It is a result of its condition at its task, whether good or bad. If not, the harness
        failed, and the attempt is to be made again.
    passed
        Whether its check passed; ``None`` where there is no check, or it does not count.
    why
        Why it does not count, in words.
    hopeless
        Made again, it would end in the same way.
    setup_failed
        The set-up before its check failed. It counts only if that worked for another attempt at the
        task: else it is the set-up that is wrong.
    """

    counts: bool
    passed: bool | None = None
    why: str | None = None
    hopeless: bool = False
    setup_failed: bool = False


def outcome_of(run: Run, variation: Variation) -> Outcome:
    """Return what became of one attempt of a run that has ended."""
    if variation.status is Status.FAILED and variation.code in OWN_FAILURES:
        return Outcome(counts=True, passed=None if run.check is None else False)
    if variation.status is not Status.COMPLETED:
        code = variation.code or run.code
        said = variation.message or run.message or str(variation.status)
        return _failed(f"{code}: {said}" if code else said, hopeless=code in HOPELESS)
    if _cut_short(run, variation):
        return _failed("It ended early, at a cap that is not its own: the day's, most likely.")
    if run.check is None:
        return Outcome(counts=True)
    check = variation.check
    if check is None or check.status not in _CHECKED:
        said = "it was not run" if check is None else f"it was {check.status}: {check.output}"
        return _failed(f"There is no result of the check; {said}")
    if _of_setup(check):
        return Outcome(
            counts=True, passed=False, why=f"The set-up failed: {check.output}", setup_failed=True
        )
    return Outcome(counts=True, passed=check.passed)


def _failed(why: str, *, hopeless: bool = False) -> Outcome:
    return Outcome(counts=False, why=why, hopeless=hopeless)


def _cut_short(run: Run, variation: Variation) -> bool:
    """Whether it had to stop for its cost before it had spent what it may."""
    if variation.stop_reason is not StopReason.LIMIT_COST:
        return False
    own = variation.condition.limits and variation.condition.limits.max_cost_usd
    cap = own or run.limits.max_cost_usd
    spent = variation.usage.cost_usd
    return cap is not None and (spent is None or spent < cap * (1 - 1e-9))


def _of_setup(check: CheckResult) -> bool:
    return check.exit_code == SETUP_EXIT and check.output.rstrip().endswith(SETUP_FAILED)
