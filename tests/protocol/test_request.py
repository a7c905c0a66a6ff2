"""How a request becomes one task a variation."""

from typing import Any

import pytest

from aideator.protocol import (
    Condition,
    KnownProvider,
    Limits,
    Task,
    VariationLimits,
    conditions_of,
    tasks_of,
)
from aideator.protocol.prices import Price

ONE, OTHER = Condition(label="one"), Condition(label="other", model="its-own")


@pytest.mark.parametrize(
    ("given", "variations", "number"), [([], None, 3), ([], 2, 2), ([ONE], None, 1), ([ONE], 1, 1)]
)
def test_there_is_a_condition_for_each_variation(
    given: list[Condition], variations: int | None, number: int
) -> None:
    assert conditions_of(given, variations) == (given or [Condition()] * number)


@pytest.mark.parametrize(
    ("given", "variations", "said"),
    [([], 0, "between 1 and 5"), ([ONE] * 6, None, "between 1 and 5"), ([ONE], 2, "agree")],
)
def test_numbers_that_do_not_agree(given: list[Condition], variations: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        conditions_of(given, variations)


def test_a_task_has_its_model_and_its_share_of_the_limits() -> None:
    own = OTHER.model_copy(update={"limits": VariationLimits(max_turns=7)})
    first, second = tasks_of(
        "Do it.",
        [ONE, own],
        Limits(max_turns=3, max_run_cost_usd=4),
        model="default",
        base_url="http://host:80",
        editor_tool="plain",
    )
    assert (first.condition.model, second.condition.model) == ("default", "its-own")
    assert (first.limits.max_turns, second.limits.max_turns) == (3, 7)
    assert (first.limits.max_cost_usd, second.limits.max_cost_usd) == (2, 2)
    assert (first.limits.max_run_cost_usd, first.base_url) == (None, "http://host:80")
    assert second.editor_tool == "plain"


def test_a_task_has_its_providers_editor_tool_and_prices() -> None:
    price = Price(input=1, output=2, cache_write=3, cache_read=4)
    local = KnownProvider(editor_tool="plain", prices={"m": price})
    given: dict[str, Any] = {"model": "m", "base_url": None, "editor_tool": "native"}
    conditions = [Condition(provider="local"), Condition(provider="default"), Condition()]
    tasks = tasks_of("Do it.", conditions, Limits(), **given, providers={"local": local})
    assert [task.editor_tool for task in tasks] == ["plain", "native", "native"]
    assert [task.prices for task in tasks] == [{"m": price}, {}, {}]
    with pytest.raises(ValueError, match=r"no provider 'local'; there is default, other\."):
        tasks_of("Do it.", conditions, Limits(), **given, providers={"other": local})


@pytest.mark.parametrize("variations", [1, 2, 5])
def test_the_smallest_cap_has_shares_that_a_task_can_hold(variations: int) -> None:
    limits = Limits(max_run_cost_usd=5e-324)
    (task, *_) = tasks_of(
        "Do it.",
        [ONE] * variations,
        limits,
        model="default",
        base_url=None,
        editor_tool="native",
    )
    assert task.limits.max_cost_usd == 5e-324
    assert Task.model_validate_json(task.model_dump_json()) == task
