"""A report says what the journal says: figures, words, and how little is known."""

import csv
import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aideator.protocol import Condition, ErrorCode, Styles, Usage
from aideator_gateway.experiments.file import read_experiment
from aideator_gateway.experiments.judgments import Judgment, Shown, Verdict
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.making import report_of
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.report.reaching import not_reached
from aideator_gateway.experiments.report.writing import written
from aideator_gateway.experiments.runner import MAX_TRIES
from aideator_gateway.experiments.statistics.pass_rate import pass_rate
from aideator_gateway.experiments.thresholds import ThresholdError, Thresholds
from aideator_gateway.runs.model import NewRun
from tests.experiments.finished import (
    carried_out,
    in_world,
    of_rates,
    plan_of_journal,
    plays,
    reported,
)
from tests.experiments.scripted_gateway import COMMIT, COST, experiment, failed, passes, task
from tests.experiments.worlds import ALIKE, WIDE

GOOD = [1.0, 1.0, 0.0, 1.0]
POOR = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Of two conditions, of which B does two tasks more than A, and costs 30 cents more."""
    rates = {"A": POOR, "B": GOOD}
    what = of_rates(rates, baseline="A", description="Does it help?")
    carried_out(tmp_path, what, plays(rates, {"A": 0.1, "B": 0.4}))
    return reported(tmp_path)


def said(task: str, left: str, right: str, verdict: Verdict, judge: str | None = None) -> Judgment:
    """Return a judgment of the attempts of two conditions at a task."""
    sides = (
        Shown(run_id=f"run_{task}", variation_id=ord(condition), condition=condition)
        for condition in (left, right)
    )
    return Judgment(
        id=f"{task}_{left}_{right}_{verdict}_{judge}",
        task=task,
        left=next(sides),
        right=next(sides),
        verdict=verdict,
        judge=judge,
    )


def test_figures_are_those_of_the_statistics(report: Report) -> None:
    first, second = report.conditions
    assert (first.done, first.checked, first.passed, second.passed) == (20, 20, 5, 15)
    assert first.pass_rate == pass_rate([[1.0] * 5, [0.0] * 5, [0.0] * 5, [0.0] * 5])
    assert [p.k for p in first.pass_at_k] == [2, 3, 5]
    assert [p.chance.value for p in second.pass_at_k] == [0.75] * 3
    # All attempts at a task end alike: nothing of the spread is between repeats.
    assert (first.repeats_share, second.repeats_share) == (0.0, 0.0)
    assert first.cost_usd and second.cost_usd and second.cost_usd.interval
    assert 0.05 < first.cost_usd.value < 0.2 < second.cost_usd.interval.low
    own = [a.cost_usd for a in report.attempts if a.condition == "A"]
    assert first.mean_cost_usd == pytest.approx(np.mean([c for c in own if c is not None]))
    for figure in (first.tokens, first.seconds, first.turns, first.patch_lines):
        assert figure and figure.interval and figure.interval.low <= figure.value
    assert first.baseline and not second.baseline
    assert report.complete


def test_two_conditions_are_compared_in_words(report: Report) -> None:
    (one,) = report.comparisons
    assert (one.first, one.second, one.gained, one.lost) == ("A", "B", ["1", "3"], [])
    assert one.pass_rate and one.pass_rate.difference.value == 0.5
    assert one.sentence.startswith(
        "Cannot tell whether B passes more or fewer than A: 50 points more, 95 % interval -42 to "
        "142; 4 tasks, 5 repeats; $0."
    )
    assert one.sentence.endswith(" more an attempt.")
    assert report.notes == [
        "With 4 tasks intervals are rough: so few hardly show what tasks may be like."
    ]


def test_a_difference_beyond_chance_is_called_so(tmp_path: Path) -> None:
    rates = in_world(ALIKE, (0.3, 0.7), tasks=24)
    carried_out(tmp_path, of_rates(rates), plays(rates))
    report = reported(tmp_path)
    (one,) = report.comparisons
    assert one.verdict == "more"
    assert one.sentence.startswith("B passes ")
    assert " points more than A, 95 % interval " in one.sentence
    assert report.notes == []


def test_what_only_some_of_many_comparisons_show_is_no_difference(tmp_path: Path) -> None:
    # Five equal conditions, in a draw in which two of them look different by themselves.
    rates = in_world(WIDE, (0.5,) * 5, tasks=8, seed=0)
    carried_out(tmp_path, of_rates(rates, repeats=2), plays(rates, seed=0))
    report = reported(tmp_path)
    assert len(report.comparisons) == 10
    apart = []
    for one in report.comparisons:
        rate = one.pass_rate
        assert rate and rate.p_value and rate.adjusted_p_value and rate.difference.interval
        assert rate.adjusted_p_value >= rate.p_value
        interval = rate.difference.interval
        apart += [one] if not interval.low <= 0 <= interval.high else []
    assert apart
    assert {one.verdict for one in report.comparisons} == {"cannot_tell"}
    assert all(
        "with so many comparisons chance alone may show as much" in one.sentence for one in apart
    )
    assert "all 10 comparisons together (Holm)" in report.notes[-1]


def test_an_unfinished_experiment_says_so(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        if "two" in request.prompt and condition.label == "careful" and before < MAX_TRIES:
            return {**failed(), "usage": Usage(input_tokens=1, cost_usd=0.5)}
        return passes(request, condition, before)

    carried_out(tmp_path, experiment(budget_usd=200.0, at_once=1), play)
    report = reported(tmp_path)
    assert (report.done, report.planned, report.complete) == (7, 8, False)
    assert report.notes[0] == (
        "Not finished: 7 of 8 attempts have a result. What it says may change yet."
    )
    missing = [a for a in report.attempts if not a.done]
    assert {a.why for a in missing} == {"sandbox_failed: It fell over."}
    assert {a.passed for a in missing} == {a.cost_usd for a in missing} == {None}
    plain, careful = report.conditions
    assert (plain.repeated, careful.repeated) == (0, MAX_TRIES)
    # What it cost to fail is spent, and is no attempt's cost.
    assert report.spent_usd == pytest.approx(0.5 * careful.repeated + 7 * COST)
    assert careful.mean_cost_usd == pytest.approx(COST)
    assert "2 tasks, 2 repeats planned, 7 attempts so far" in report.comparisons[0].sentence
    assert "no interval, for fewer than 3 tasks" in report.comparisons[0].sentence


def test_what_is_unknown_or_scripted_is_said(tmp_path: Path) -> None:
    def unpriced(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del request, before
        cost = None if condition.label == "plain" else 0.02
        return {"usage": Usage(input_tokens=1000, cost_usd=cost)}

    carried_out(tmp_path / "a", experiment(), unpriced)
    report = reported(tmp_path / "a")
    plain, careful = report.conditions
    assert (plain.cost_unknown, plain.cost_usd, plain.mean_cost_usd) == (4, None, None)
    assert careful.cost_unknown == 0 and careful.mean_cost_usd == pytest.approx(0.02)
    assert any("The price of m is not known: 4 attempts" in note for note in report.notes)
    assert "what it costs more or less is unknown" in report.comparisons[0].sentence
    assert "4 attempts of unknown price" in written(report, "markdown", Links())

    carried_out(tmp_path / "b", experiment(), passes, scripted=True)
    scripted = reported(tmp_path / "b")
    assert "scripted demo and no LLM" in scripted.notes[0]
    for form in ("markdown", "html"):
        assert "scripted demo and no LLM" in written(scripted, form, Links())


def test_a_refusal_is_a_result_and_no_check_is_no_pass(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del request, before
        refuses = condition.label == "plain"
        return failed(ErrorCode.REFUSAL, "It would not.") if refuses else {"check": None}

    what = experiment(tasks=[task("one", check=None)])
    carried_out(tmp_path, what, play)
    report = reported(tmp_path)
    assert report.complete
    assert [c.pass_rate for c in report.conditions] == [None, None]
    assert report.conditions[0].ended == {"refusal": 2}
    assert report.comparisons[0].verdict is None
    assert report.comparisons[0].sentence == (
        "No check compares careful with plain; it costs the same."
    )
    assert "only people's choices" in report.notes[0]


def test_winners_and_judgments_are_choices(tmp_path: Path) -> None:
    rates = {"A": GOOD, "B": GOOD, "C": GOOD}
    carried_out(tmp_path, of_rates(rates, repeats=1), plays(rates))
    plain = reported(tmp_path)
    assert plain.people is None
    # B wins each run: over A and over C.
    winners = {
        a.run_id: a.variation_id
        for a in plain.attempts
        if a.condition == "B" and a.run_id and a.variation_id
    }
    tasks = [task.name for task in plain.tasks]
    judged = [
        said(tasks[0], "A", "B", "left", "one"),
        said(tasks[0], "B", "A", "left", "two"),
        said(tasks[1], "B", "C", "tie"),
        said(tasks[1], "B", "C", "skip"),
        said(tasks[2], "C", "A", "left"),
    ]
    people = reported(tmp_path, judged, {**winners, "run_of_others": 1}).people
    assert people is not None
    assert (people.comparisons, people.judged, people.selected) == (12, 4, 8)
    # Two judges said the opposite of one pair, which is as often as chance would have it.
    assert people.agreement is not None
    assert people.agreement.value == pytest.approx(0.0)
    sentence = (
        "8 from winners of runs. Judges agree with alpha 0.00; 1 pair judged by more than one."
    )
    for form in ("markdown", "html"):
        assert sentence in written(reported(tmp_path, judged, winners), form, Links())
    rate = {p.condition: p.win_rate for p in people.preferences}
    assert rate["B"] and rate["B"].value == pytest.approx(9.5 / 11)
    strengths = [p.strength for p in people.preferences]
    assert all(strengths) and strengths[1] and strengths[0]
    assert strengths[1].value > strengths[0].value
    alone = reported(tmp_path, (), winners).people
    # Nobody ever chose another one: how much stronger it is, nothing tells.
    assert alone and [p.strength for p in alone.preferences] == [None] * 3


def test_every_attempt_is_there_with_the_way_to_it(report: Report) -> None:
    assert len(report.attempts) == 40
    assert len({(a.run_id, a.variation_id) for a in report.attempts}) == 40
    assert {len(cell) for cell in report.cells().values()} == {5}
    assert {a.commit for a in report.attempts} == {COMMIT}
    lines = list(csv.DictReader(io.StringIO(written(report, "csv", Links()))))
    assert [line["run_id"] for line in lines] == [a.run_id for a in report.attempts]
    assert {line["passed"] for line in lines} == {"true", "false"}
    html = written(report, "html", Links("http://127.0.0.1:8000"))
    for attempt in report.attempts:
        run = f'href="http://127.0.0.1:8000/#/runs/{attempt.run_id}'
        assert html.count(f'{run}/results/{attempt.variation_id}"') == 2
        assert f'{run}/replay"' in html
    assert Report.model_validate_json(written(report, "json", Links())) == report
    assert "(<http://127.0.0.1:8000/#/runs/run_" in written(
        report, "markdown", Links("http://127.0.0.1:8000")
    )


def test_it_says_all_that_repeats_it(tmp_path: Path) -> None:
    prompt = 'Say "hi" \\ and\nuse """ twice,\ttabbed\x7f and 指示 🚀.'
    what = experiment(
        tasks=[task("one", prompt=prompt, ref="main", setup="make\n", tags=["a", 'b"c'])],
        conditions=[
            {"label": "plain"},
            {"label": "other", "model": "n", "instructions": "\nBe\nbrief.\r\n",
             "temperature": 0.5, "limits": {"max_turns": 9}},
        ],
        limits={"max_turns": 30}, seed=7, baseline="plain",
    )  # fmt: skip
    carried_out(tmp_path, what, passes)
    again = reported(tmp_path).repetition
    assert again.models == ["m", "n"]
    assert again.versions == {"aideator": ["0.1.0"], "python": ["3.11.2"]}
    assert (again.seed, again.limits) == (7, {"max_turns": 30})
    assert again.began_at and again.share_usd == pytest.approx(0.9 * 10 / 4)
    held = tomllib.loads(again.file)
    assert held["tasks"][0]["prompt"] == prompt
    file = tmp_path / "again.toml"
    file.write_text(again.file, encoding="utf-8", newline="")
    read = read_experiment(file, Styles())
    assert read.tasks == [what.tasks[0].model_copy(update={"ref": COMMIT})]
    assert read.conditions[1] == what.conditions[1]
    assert read.conditions[0].model == "m"
    assert read.model_copy(update={"tasks": what.tasks, "conditions": what.conditions}) == what


@pytest.mark.parametrize(
    ("rates", "no_worse", "said"),
    [
        (["0.2"], [], []),
        (["0.5"], [], ["A: 5 of 20 attempts pass, which is less than 50 %."]),
        (["0.5", "A=0.25"], [], []),
        (["A=0.25", "0.8"], [], ["B: 15 of 20 attempts pass, which is less than 80 %."]),
        (["0.75"], ["A"], ["A: 5 of 20 attempts pass, which is less than 75 %."]),
        # It passes half as many, and four tasks cannot tell.
        ([], ["B"], []),
    ],
)
def test_thresholds(tmp_path: Path, rates: list[str], no_worse: list[str], said: list[str]) -> None:
    agents = {"A": POOR, "B": GOOD}
    what = of_rates(agents)
    carried_out(tmp_path, what, plays(agents))
    plan, state = plan_of_journal(tmp_path)
    report = report_of(plan, state)
    assert list(not_reached(plan, report, Thresholds.of(what, rates, no_worse))) == said


def test_worse_beyond_chance_is_not_reached(tmp_path: Path) -> None:
    agents = in_world(ALIKE, (0.8, 0.3, 0.8), tasks=20)
    what = of_rates(agents)
    carried_out(tmp_path, what, plays(agents))
    plan, state = plan_of_journal(tmp_path)
    (said,) = not_reached(plan, report_of(plan, state), Thresholds.of(what, [], ["A"]))
    found = re.match(
        r"Worse than A: B passes (\d+) points fewer than A, 95 % interval (\d+) to (\d+); ", said
    )
    assert found, said
    seen, low, high = map(int, found.groups())
    assert 0 < low < seen < high
    assert not list(not_reached(plan, report_of(plan, state), Thresholds.of(what, [], ["B"])))


@pytest.mark.parametrize(
    ("rates", "no_worse", "said"),
    [
        (["70"], [], "'70' is no pass rate"),
        (["nan"], [], "'nan' is no pass rate"),
        (["C=0.5"], [], "There is no condition 'C'; there are 'plain', 'careful'."),
        ([], ["C"], "There is no condition 'C'"),
    ],
)
def test_thresholds_that_say_nothing_are_refused(
    rates: list[str], no_worse: list[str], said: str
) -> None:
    with pytest.raises(ThresholdError, match=said):
        Thresholds.of(experiment(), rates, no_worse)


def test_thresholds_without_checks_or_others_are_refused() -> None:
    with pytest.raises(ThresholdError, match="No task has a check"):
        Thresholds.of(experiment(tasks=[task("one", check=None)]), ["0.5"], [])
    with pytest.raises(ThresholdError, match="There is one condition"):
        Thresholds.of(experiment(conditions=[{"label": "a"}]), [], ["a"])


def test_json_is_json(report: Report) -> None:
    assert (
        json.loads(written(report, "json", Links()))["comparisons"][0]["verdict"] == "cannot_tell"
    )
