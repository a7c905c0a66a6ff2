"""What a broker alone says: wait your turn, and no more may be spent."""

import pytest

from aideator.agent.budget import Budget
from aideator.agent.endings import Completed
from aideator.protocol import (
    ErrorCode,
    Limits,
    RetryEvent,
    StatusEvent,
    StopReason,
    Usage,
    WaitEvent,
)
from aideator_gateway.scripted_model.script import HttpError, Text
from tests.agent.conftest import Play
from tests.agent.sandbox import Sandbox


def wait(cause: str, seconds: str) -> HttpError:
    headers = {"aideator-wait": cause, "retry-after": seconds}
    return HttpError(429, "rate_limit_error", "Wait.", headers=headers)


def test_a_wait_is_told_and_is_no_try(sandbox: Sandbox, play: Play) -> None:
    model = play(
        [wait("rate_limited", "0.4")], [wait("busy", "0.1")], [wait("later", "0.1")],
        [Text("Done.")],
    )  # fmt: skip
    outcome = sandbox.run(model.base_url, limits=Limits(max_retries=0))
    assert outcome.completed.stop_reason is StopReason.END_TURN
    assert outcome.of(RetryEvent) == []
    waits = outcome.of(WaitEvent)
    assert [(event.cause, event.seconds, event.turn, event.try_) for event in waits] == [
        ("rate_limited", 0.4, 1, 1), ("busy", 0.1, 1, 1), ("later", 0.1, 1, 1),
    ]  # fmt: skip
    assert waits[0].message == "the model's server limits requests"
    first, second = (request.time for request in model.requests[:2])
    assert second - first >= 0.4


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("rate_limited=0.213", [("rate_limited", 0.213)]),
        ("pacing=0.15, rate_limited=0.2", [("pacing", 0.15), ("rate_limited", 0.2)]),
        ("later=1", [("later", 1.0)]),
        *((nothing, []) for nothing in ("", "=1", "busy", "busy=", "busy=x", "busy=0", "busy=nan")),
    ],
)
def test_what_a_broker_has_waited_is_told_before_the_answer(
    sandbox: Sandbox, play: Play, header: str, told: list[tuple[str, float]]
) -> None:
    # The scripted model's answers carry headers only with an error's status.
    headers = {"aideator-waited": header}
    model = play([HttpError(500, "api_error", "Oops.", headers=headers)], [Text("Done.")])
    outcome = sandbox.run(model.base_url)
    waits = outcome.of(WaitEvent)
    assert [(event.cause, event.seconds) for event in waits] == told
    assert {(event.turn, event.try_) for event in waits} <= {(1, 1)}
    (retry,) = outcome.of(RetryEvent)
    assert all(event.seq < retry.seq for event in waits)


def test_a_wait_counts_towards_the_time_of_the_attempt(sandbox: Sandbox, play: Play) -> None:
    model = play([wait("rate_limited", "60")], [Text("Done.")])
    outcome = sandbox.run(model.base_url, limits=Limits(max_seconds=2))
    assert outcome.completed.stop_reason is StopReason.LIMIT_SECONDS


@pytest.mark.parametrize("limit", ["cost", "day_cost"])
def test_a_spent_allowance_ends_the_attempt_cleanly(
    sandbox: Sandbox, play: Play, limit: str
) -> None:
    error = HttpError(403, "billing_error", "It is used up.", headers={"aideator-limit": limit})
    outcome = sandbox.run(play([error]).base_url)
    assert outcome.completed.stop_reason is StopReason.LIMIT_COST
    told = [event.message for event in outcome.of(StatusEvent) if event.state == "notice"]
    assert told == ["It is used up."]
    assert not outcome.patch.withheld


@pytest.mark.parametrize(
    ("cause", "code", "tries"),
    [
        ("upstream_unreachable", ErrorCode.CONNECTION_FAILED, 2),
        ("upstream_untrusted", ErrorCode.CONNECTION_FAILED, 1),
        ("upstream_silent", ErrorCode.STREAM_STALLED, 2),
        ("something_new", ErrorCode.API_ERROR, 2),
    ],
)
def test_what_the_broker_could_not_do_has_the_code_it_has_without_one(
    sandbox: Sandbox, play: Play, cause: str, code: ErrorCode, tries: int
) -> None:
    error = HttpError(502, "api_error", "No.", headers={"aideator-refused": cause})
    outcome = sandbox.run(play([error], [error]).base_url, limits=Limits(max_retries=1))
    assert (outcome.failed.code, len(outcome.of(RetryEvent)) + 1) == (code, tries)


@pytest.mark.parametrize("allowed", [None, "", "much", "nan", "inf", "0.5"])
def test_no_allowance_lowers_a_limit(allowed: str | None) -> None:
    budget = Budget(Limits(max_cost_usd=1.0))
    budget.allow(allowed)
    budget.add(Usage(cost_usd=0.9))
    budget.check()
    budget.add(Usage(cost_usd=0.2))
    with pytest.raises(Completed):
        budget.check()


def test_what_siblings_left_over_raises_the_limit() -> None:
    budget = Budget(Limits(max_cost_usd=1.0))
    budget.allow("2.5")
    budget.add(Usage(cost_usd=2.4))
    budget.check()
    budget.add(Usage(cost_usd=0.2))
    with pytest.raises(Completed) as reached:
        budget.check()
    assert reached.value.stop_reason is StopReason.LIMIT_COST
