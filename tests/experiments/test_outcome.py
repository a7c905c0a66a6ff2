"""What counts as a result of an attempt, and what is the harness's fault."""

from typing import Any

import pytest

from aideator.protocol import ErrorCode, Status, StopReason, Usage
from aideator_gateway.experiments.outcome import HOPELESS, OWN_FAILURES, outcome_of
from aideator_gateway.experiments.plan import SETUP_EXIT, SETUP_FAILED
from tests.experiments.scripted_gateway import check, failed, run_with

SET_UP_FAILED = check("failed", f"no such package\n\n{SETUP_FAILED}\n", SETUP_EXIT)


@pytest.mark.parametrize(
    ("ended", "passed"),
    [
        ({}, True),
        ({"check": check("failed", exit_code=1)}, False),
        ({"check": check("timed_out", exit_code=None)}, False),
        ({"stop_reason": StopReason.LIMIT_TURNS}, True),
        ({"stop_reason": StopReason.LIMIT_COST, "usage": Usage(cost_usd=1.02)}, True),
        # Declined: that is what the condition made of it, even if the check passes as it was.
        (failed(ErrorCode.REFUSAL), False),
        # Not the set-up's exit alone: a check may end so, too.
        ({"check": check("failed", "x", SETUP_EXIT)}, False),
    ],
)
def test_results_count(ended: dict[str, Any], passed: bool) -> None:
    run = run_with([ended])
    found = outcome_of(run, run.variations[0])
    assert (found.counts, found.passed, found.setup_failed) == (True, passed, False)


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (failed(), "sandbox_failed: It fell over."),
        (failed(ErrorCode.RATE_LIMITED, "Too many."), "rate_limited: Too many."),
        ({"status": Status.CANCELLED, "code": ErrorCode.CANCELLED}, "cancelled: cancelled"),
        ({"status": Status.INTERRUPTED, "code": ErrorCode.INTERRUPTED}, "interrupted"),
        ({"check": check("interrupted", "the gateway", None)}, "it was interrupted: the gateway"),
        ({"check": check("not_run", "no bubblewrap", None)}, "it was not_run: no bubblewrap"),
        ({"check": None}, "it was not run"),
        # The day's cap, not its own: it had not had its chance.
        ({"stop_reason": StopReason.LIMIT_COST, "usage": Usage(cost_usd=0.3)}, "not its own"),
        ({"stop_reason": StopReason.LIMIT_COST, "usage": Usage()}, "not its own"),
    ],
)
def test_failures_of_the_harness_do_not(ended: dict[str, Any], why: str) -> None:
    run = run_with([ended])
    found = outcome_of(run, run.variations[0])
    assert (found.counts, found.passed) == (False, None)
    assert found.why and why in found.why


def test_without_a_check_a_result_neither_passes_nor_fails() -> None:
    run = run_with([{}], check=None)
    found = outcome_of(run, run.variations[0])
    assert (found.counts, found.passed) == (True, None)


def test_a_set_up_that_failed_is_told_apart() -> None:
    run = run_with([{"check": SET_UP_FAILED}])
    found = outcome_of(run, run.variations[0])
    assert (found.counts, found.passed, found.setup_failed) == (True, False, True)


def test_a_run_that_failed_as_a_whole_says_why() -> None:
    run = run_with([{"status": Status.FAILED, "stop_reason": None}])
    run = run.model_copy(update={"code": ErrorCode.REF_NOT_FOUND, "message": "No such branch."})
    found = outcome_of(run, run.variations[0])
    assert found.why == "ref_not_found: No such branch."
    assert found.hopeless


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_way_to_fail_is_somebodys_fault(code: ErrorCode) -> None:
    run = run_with([failed(code)])
    found = outcome_of(run, run.variations[0])
    assert found.counts == (code in OWN_FAILURES)
    assert found.hopeless == (code in HOPELESS)
    assert not (found.counts and found.hopeless)
