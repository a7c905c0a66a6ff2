"""Which attempts there are to be, in which order, and as which runs."""

import json
from collections import Counter

import pytest

from aideator.protocol import Condition, VariationLimits, tasks_of
from aideator_gateway.experiments.beginning import resumed
from aideator_gateway.experiments.forecast import Forecast, forecast
from aideator_gateway.experiments.plan import RESERVE, check_of, plan_of
from aideator_gateway.experiments.state import State
from tests.experiments.scripted_gateway import experiment, run_with, task

CONDITIONS = [{"label": label} for label in "abcdefg"]


def test_every_attempt_is_planned_once() -> None:
    found = plan_of(experiment(repeats=3, conditions=CONDITIONS), "m")
    names = [(one.task.name, one.name, one.repeat) for one in found.attempts]
    assert len(names) == len(set(names)) == 2 * 7 * 3 == found.experiment.attempts
    assert len({one.id for one in found.attempts}) == len(names)


def test_no_more_than_a_run_has_room_for_and_nearly_equal_parts() -> None:
    found = plan_of(experiment(conditions=CONDITIONS), "m")
    assert {len(block) for block in found.blocks} == {3, 4}
    for block in found.blocks:
        assert len({(one.task.name, one.repeat) for one in block}) == 1


def test_each_repeat_is_through_before_the_next_begins() -> None:
    found = plan_of(experiment(repeats=4, tasks=[task(str(n)) for n in range(9)]), "m")
    repeats = [block[0].repeat for block in found.blocks]
    assert repeats == sorted(repeats)
    for repeat in range(1, 5):
        names = [block[0].task.name for block in found.blocks if block[0].repeat == repeat]
        assert sorted(names) == [str(n) for n in range(9)]


def test_the_order_favours_no_condition_and_is_the_same_again() -> None:
    tasks = [task(str(n)) for n in range(40)]
    many = experiment(repeats=10, tasks=tasks, conditions=CONDITIONS[:4])
    found = plan_of(many, "m")
    places = Counter((place, one.name) for block in found.blocks for place, one in enumerate(block))
    # Each of 4 conditions at each of 4 places in about a quarter of 400 runs; by lot, so
    # within four standard deviations.
    assert all(abs(count - 100) < 4 * 8.7 for count in places.values())
    assert len(places) == 16
    first = [block[0].task.name for block in found.blocks[:40]]
    second = [block[0].task.name for block in found.blocks[40:80]]
    assert first != second
    assert plan_of(many, "m") == found
    other = plan_of(many.model_copy(update={"seed": 2}), "m")
    assert [b[0].task.name for b in other.blocks[:40]] != first


def test_the_order_is_the_same_on_every_machine() -> None:
    found = plan_of(experiment(repeats=2, tasks=[task(n) for n in "abcde"]), "m")
    assert "".join(block[0].task.name for block in found.blocks) == "badcecebda"
    assert found.attempts[0].id == "786c760f11d737a237c2"


def test_a_longer_experiment_has_the_attempts_of_the_shorter_one() -> None:
    short, long = (plan_of(experiment(repeats=n), "m") for n in (2, 5))
    assert long.blocks[: len(short.blocks)] == short.blocks
    grown = plan_of(experiment(tasks=[task("one"), task("new"), task("two")]), "m")
    assert {one.id for one in short.attempts} < {one.id for one in grown.attempts}


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": [task("one", prompt="Else."), task("two", prompt="Else.")]},
        {"tasks": [task("one", check="false"), task("two", check="false")]},
        {"tasks": [task("one", ref="v1"), task("two", ref="v1")]},
        {"conditions": [{"label": "plain", "temperature": 0.5}, {"label": "b"}]},
        {"limits": {"max_turns": 3}},
    ],
)
def test_a_changed_attempt_is_another_one(changes: dict[str, object]) -> None:
    before = {one.id for one in plan_of(experiment(), "m").attempts}
    after = {one.id for one in plan_of(experiment(**changes), "m").attempts}
    assert not before & after
    assert not before & {one.id for one in plan_of(experiment(), "another").attempts}


def test_tags_and_budget_change_no_attempt() -> None:
    before = [one.id for one in plan_of(experiment(), "m").attempts]
    tagged = experiment(budget_usd=99, tasks=[task("one", tags=["x"]), task("two")])
    assert [one.id for one in plan_of(tagged, "m").attempts] == before


def test_shares_are_fixed_and_fill_the_budget_but_for_the_reserve() -> None:
    found = plan_of(experiment(budget_usd=16.0), "m")
    assert found.share_usd == pytest.approx(16 * (1 - RESERVE) / 8)
    request = found.request(found.blocks[0], None)
    assert request.limits is not None
    # As the gateway deals them out: each has its share, and a cap of its own that leaves it
    # nothing of what its siblings do not use.
    tasks = tasks_of(
        request.prompt, request.conditions or (), request.limits,
        model="m", base_url=None, editor_tool="native",
    )  # fmt: skip
    assert [one.limits.max_cost_usd for one in tasks] == [found.share_usd] * 2
    assert request.limits.max_cost_usd == found.share_usd
    assert request.limits.max_run_cost_usd == pytest.approx(2 * found.share_usd)
    assert (request.limits.max_run_cost_usd or 0) / 2 >= found.share_usd


def test_caps_of_ones_own_go_before_the_share() -> None:
    found = plan_of(
        experiment(
            limits={"max_cost_usd": 0.25, "max_turns": 7},
            conditions=[{"label": "a", "limits": {"max_cost_usd": 0.5}}, {"label": "b"}],
        ),
        "m",
    )
    request = found.request(sorted(found.blocks[0], key=lambda one: one.name), "abc")
    assert request.ref == "abc"
    assert request.limits is not None
    tasks = tasks_of(
        request.prompt, request.conditions or (), request.limits,
        model="m", base_url=None, editor_tool="native",
    )  # fmt: skip
    assert [one.limits.max_cost_usd for one in tasks] == [0.5, 0.25]
    assert [one.limits.max_turns for one in tasks] == [7, 7]


def test_a_request_says_all_there_is() -> None:
    found = plan_of(
        experiment(
            tasks=[task("one", ref="main", setup="make x")],
            conditions=[{"label": "a", "model": "other", "instructions": "Be careful."}],
        ),
        "m",
    )
    request = found.request(found.blocks[0], None)
    assert (request.github_url, request.ref) == ("https://github.com/user/repo", "main")
    assert request.conditions == [Condition(label="a", model="other", instructions="Be careful.")]
    assert request.check == check_of(found.experiment.tasks[0])
    assert request.check is not None and "make x" in request.check
    # Read back from the journal it is the same request.
    again = type(request).model_validate_json(request.model_dump_json())
    assert again.model_dump_json() == request.model_dump_json()


def test_comparisons_are_with_the_baseline_or_all_of_them() -> None:
    three = CONDITIONS[:3]
    assert plan_of(experiment(conditions=three), "m").comparisons == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    with_baseline = experiment(conditions=three, baseline="b")
    assert plan_of(with_baseline, "m").comparisons == [("b", "a"), ("b", "c")]


def test_a_plan_says_what_is_known_of_the_cost() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1}
    here = run_with([{"usage": {**usage, "cost_usd": cost}} for cost in (0.1, 0.3)], model="m")
    elsewhere = run_with([{"usage": {**usage, "cost_usd": 9.0}}], model="m")
    elsewhere = elsewhere.model_copy(update={"github_url": "https://github.com/user/other"})
    unknown = run_with([{"usage": {**usage, "cost_usd": None}}], model="unpriced")
    scripted = run_with([{"usage": {**usage, "cost_usd": 0.0}}], model="m", scripted=True)
    past = [here, elsewhere, unknown, scripted]

    def expected(**fields: object) -> Forecast:
        begun = resumed(experiment(**fields), State(), model="m", scripted=False)
        return forecast(begun, past)

    found = expected()
    assert {name: cost.usd for name, cost in found.each.items()} == pytest.approx(
        {"plain": 0.2, "careful": 0.2}
    )
    assert found.each["plain"].attempts == 2
    assert found.expected_usd == pytest.approx(8 * 0.2)
    assert found.most_usd == pytest.approx(9.0)

    away = expected(tasks=[task("one", repository="https://github.com/user/new")])
    assert away.each["plain"].usd == pytest.approx((0.1 + 0.3 + 9.0) / 3)
    priceless = expected(conditions=[{"label": "a", "model": "unpriced"}, {"label": "b"}])
    assert (priceless.each["a"].usd, priceless.expected_usd) == (None, None)
    json.dumps(priceless.expected_usd)


def test_a_plan_says_what_it_can_tell() -> None:
    tasks = [task(str(n)) for n in range(24)]

    def told(**fields: object) -> Forecast:
        begun = resumed(experiment(**fields), State(), model="m", scripted=False)
        return forecast(begun, [])

    few, some, more = (told(tasks=tasks[:n], repeats=5).detectable for n in (3, 12, 24))
    assert few is None
    assert some is not None and more is not None
    assert 0.15 < more < some < 0.6
    six = told(tasks=tasks, repeats=5, conditions=CONDITIONS[:4])
    assert six.comparisons == 6
    assert six.detectable is not None and six.detectable > more
    found = told(tasks=tasks, repeats=5)
    assert found.assumed
    # More tasks tell more than more repeats of the same.
    assert found.more_tasks and found.more_repeats and found.detectable
    assert found.more_tasks < found.more_repeats < found.detectable
    assert told(conditions=CONDITIONS[:1]).detectable is None
    unchecked = [task(str(n), check=None) for n in range(24)]
    assert told(tasks=unchecked).detectable is None


def test_limits_of_the_file_are_those_of_a_run() -> None:
    assert experiment(limits={"max_turns": 3}).limits == VariationLimits(max_turns=3)
