"""What an attempt costs, and where it ends for that."""

import itertools
from typing import Any

import pytest

from aideator.agent.budget import Budget
from aideator.agent.endings import Completed
from aideator.protocol import (
    UNPRICED_MAX_TOKENS,
    Limits,
    StopReason,
    ToolResultEvent,
    Usage,
    UsageEvent,
)
from aideator.protocol.prices import Prices
from aideator_gateway.scripted_model import script
from aideator_gateway.scripted_model.script import Model, Text, ToolUse, Wait
from tests.agent.conftest import Play
from tests.agent.sandbox import Sandbox

CREATE = ToolUse(
    "str_replace_based_edit_tool", {"command": "create", "path": "new.txt", "file_text": "new\n"}
)
LOOK = ToolUse("list_files", {})
M = 1_000_000


def usage(**counts: int) -> script.TokenCounts:
    return script.TokenCounts(**counts)


def test_tokens_and_cost_are_told_per_turn_and_in_total(sandbox: Sandbox, play: Play) -> None:
    model = play(
        [
            LOOK,
            usage(
                input_tokens=1000, output_tokens=100,
                cache_creation_input_tokens=2000, cache_read_input_tokens=4000,
            ),
        ],
        [Text("Done."), usage(input_tokens=10, output_tokens=20)],
    )  # fmt: skip
    outcome = sandbox.run(model.base_url, condition={"model": "claude-sonnet-4-6"})
    first, second = outcome.of(UsageEvent)
    counts = first.usage.model_dump(exclude={"cost_usd"})
    assert list(counts.values()) == [1000, 100, 2000, 4000]
    assert first.usage.cost_usd == pytest.approx(
        (1000 * 3 + 100 * 15 + 2000 * 3.75 + 4000 * 0.3) / M
    )
    assert second.usage.cost_usd == pytest.approx((10 * 3 + 20 * 15) / M)
    assert second.total == outcome.completed.total
    assert outcome.completed.total.tokens == 7130
    assert outcome.completed.total.cost_usd == pytest.approx(0.0132 + 0.00033)


def test_the_model_that_answers_sets_the_price(sandbox: Sandbox, play: Play) -> None:
    model = play([Model("aideator-scripted-demo"), Text("Done.")])
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.total.tokens > 0
    assert outcome.completed.total.cost_usd is None


@pytest.mark.parametrize(
    ("limits", "reason", "turns"),
    [
        ({"max_turns": 1}, StopReason.LIMIT_TURNS, 1),
        ({"max_turns": 2}, StopReason.LIMIT_TURNS, 2),
        ({"max_tokens": 1500}, StopReason.LIMIT_TOKENS, 2),
        # 1,000 tokens in and 10 out at 3 and 15 dollars per million.
        ({"max_cost_usd": 0.003}, StopReason.LIMIT_COST, 1),
        ({"max_cost_usd": 0.0032}, StopReason.LIMIT_COST, 2),
    ],
)
def test_a_limit_ends_it_cleanly_with_what_it_has(
    sandbox: Sandbox, play: Play, limits: dict[str, Any], reason: StopReason, turns: int
) -> None:
    spent = usage(input_tokens=1000, output_tokens=10)
    model = play(*[[Text("Going on."), CREATE, spent]] * 5)
    outcome = sandbox.run(model.base_url, limits=limits, condition={"model": "claude-sonnet-4-6"})
    assert outcome.completed.stop_reason is reason
    assert outcome.completed.turns == turns
    assert len(model.requests) == turns
    # The last answer's calls are paid for, so they are done.
    assert len(outcome.of(ToolResultEvent)) == turns
    assert outcome.patch.files == 1
    assert outcome.completed.summary == "Going on."


def test_an_attempt_that_is_done_is_not_cut_by_a_limit(sandbox: Sandbox, play: Play) -> None:
    outcome = sandbox.run(play([Text("Done.")]).base_url, limits={"max_turns": 1})
    assert outcome.completed.stop_reason is StopReason.END_TURN


@pytest.mark.parametrize(
    "wait", [[Text("Hm. "), Wait(30)], [Text("slow " * 200, pace=0.1)], [Wait(30)]]
)
def test_the_clock_ends_it_wherever_it_stands(
    sandbox: Sandbox, play: Play, wait: list[Any]
) -> None:
    model = play([CREATE], wait)
    # Time enough for the first turn on a busy machine, too.
    outcome = sandbox.run(model.base_url, limits={"max_seconds": 3})
    assert outcome.completed.stop_reason is StopReason.LIMIT_SECONDS
    assert 3 <= outcome.completed.seconds < 7
    assert outcome.patch.files == 1


def test_the_clock_runs_while_it_waits_to_repeat(sandbox: Sandbox, play: Play) -> None:
    error = script.HttpError(529, "overloaded_error", "Busy.", headers={"retry-after": "30"})
    outcome = sandbox.run(play([error]).base_url, limits={"max_seconds": 1})
    assert outcome.completed.stop_reason is StopReason.LIMIT_SECONDS


@pytest.mark.parametrize(
    ("limits", "used", "reason"),
    [
        (Limits(max_cost_usd=1), Usage(input_tokens=UNPRICED_MAX_TOKENS), "limit_tokens"),
        (Limits(max_cost_usd=1), Usage(input_tokens=UNPRICED_MAX_TOKENS - 1), None),
        (Limits(max_cost_usd=1, max_tokens=9 * M), Usage(input_tokens=3 * M), None),
        (Limits(), Usage(input_tokens=9 * M), None),
        (Limits(max_cost_usd=1), Usage(input_tokens=9 * M, cost_usd=0.5), None),
        (Limits(max_cost_usd=1), Usage(input_tokens=1, cost_usd=1.0), "limit_cost"),
        (Limits(max_tokens=5), Usage(cache_read_tokens=5, cost_usd=0.0), "limit_tokens"),
    ],
)
def test_a_token_cap_stands_in_for_a_cost_cap_that_cannot_be_watched(
    limits: Limits, used: Usage, reason: str | None
) -> None:
    budget = Budget(limits)
    budget.add(used)
    ended = None
    try:
        budget.check()
    except Completed as completed:
        ended = completed.stop_reason.value
    assert ended == reason


def test_a_total_with_an_unknown_part_is_unknown() -> None:
    for order in itertools.permutations([0.1, None, 0.2]):
        budget = Budget(Limits())
        for cost in order:
            budget.add(Usage(input_tokens=1, cost_usd=cost))
        assert budget.total == Usage(input_tokens=3, cost_usd=None)


def test_prices() -> None:
    prices = Prices()
    million_out = Usage(output_tokens=M)
    assert prices.cost("claude-sonnet-5-5", million_out) == 10
    assert prices.cost("claude-haiku-4-5-20251001", million_out) == 5
    assert prices.cost("claude-sonnet-5-5-mini", million_out) is None
    assert prices.cost("llama", million_out) is None
    assert prices.cost("", Usage()) is None


def test_a_price_may_depend_on_the_prompts_length() -> None:
    cost = Prices().cost
    short = Usage(input_tokens=60_000, cache_read_tokens=40_000, output_tokens=1000)
    long = short.model_copy(update={"cache_write_tokens": 1})
    assert cost("claude-haiku-5-5", short) == pytest.approx(
        (60_000 * 0.1 + 40_000 * 0.01 + 1000 * 0.5) / M
    )
    assert cost("claude-haiku-5-5", long) == pytest.approx(
        (60_000 * 0.5 + 40_000 * 0.05 + 1 * 0.625 + 1000 * 2.5) / M
    )
