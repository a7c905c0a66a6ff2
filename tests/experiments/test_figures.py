"""Each figure against a published worked example, or what another package says."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from aideator_gateway.experiments.statistics.bradley_terry import bradley_terry
from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.experiments.statistics.clustered import ClusteredMean, clustered_mean
from aideator_gateway.experiments.statistics.difference import (
    BOOTSTRAP_TASKS,
    RESAMPLES,
    chance_variance,
    paired_difference,
)
from aideator_gateway.experiments.statistics.flips import flips
from aideator_gateway.experiments.statistics.holm import holm
from aideator_gateway.experiments.statistics.median import median
from aideator_gateway.experiments.statistics.pass_at_k import pass_at_k
from aideator_gateway.experiments.statistics.pass_rate import pass_rate
from aideator_gateway.experiments.statistics.power import (
    Variation,
    detectable,
    power,
    variation_of,
)
from aideator_gateway.experiments.statistics.proportion import proportion_interval
from aideator_gateway.experiments.statistics.spread import spread
from aideator_gateway.experiments.statistics.win_rate import win_rate

FIVE_TASKS = [[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 1]]
UNEQUAL = [[1, 1, 0], [0], [1, 0, 1, 1, 1, 0, 0], [0, 0], [1, 1, 1, 1]]


def test_the_clustered_error_is_that_of_statsmodels() -> None:
    found = clustered_mean(FIVE_TASKS)
    # statsmodels 0.15.0: OLS(y, ones).fit(cov_type="cluster") says 0.6 and 0.15.
    assert found.mean == pytest.approx(0.6)
    assert math.sqrt(found.variance) == pytest.approx(0.15)
    assert found.freedom == pytest.approx(4)


def test_unequal_tasks_have_the_variance_that_bell_and_mccaffrey_define() -> None:
    sizes = [len(group) for group in UNEQUAL]
    values = np.concatenate([np.array(group, dtype=float) for group in UNEQUAL])
    size = len(values)
    ones = np.ones((size, 1))
    residuals = np.eye(size) - ones @ ones.T / size
    whole, parts, start = 0.0, [], 0
    for number in sizes:
        own = slice(start, start + number)
        start += number
        # (I - H)^(-1/2) of the group, and what it makes of the residuals.
        powers, vectors = np.linalg.eigh(residuals[own, own])
        adjust = vectors @ np.diag(powers**-0.5) @ vectors.T
        weights = adjust @ ones[own] / size
        whole += ((weights.T @ residuals[own] @ values) ** 2).item()
        parts.append((residuals[:, own] @ weights).ravel())
    # Satterthwaite's degrees of freedom, from what the parts have in common.
    common = np.array(parts) @ np.array(parts).T
    found = clustered_mean(UNEQUAL)
    assert found.variance == pytest.approx(whole)
    assert found.freedom == pytest.approx(np.trace(common) ** 2 / np.sum(common**2))
    assert found.freedom < 4


@pytest.mark.parametrize(
    ("passed", "size", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (Statistics in
    # Medicine 17, 1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_the_interval_of_a_proportion_is_wilsons(
    passed: int, size: int, low: float, high: float
) -> None:
    share = passed / size
    independent = ClusteredMean(share, share * (1 - share) / size, 1e9, size)
    found = proportion_interval(independent)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_attempts_at_one_task_make_a_pass_rate_no_surer() -> None:
    once = pass_rate([[1], [0], [1], [1], [0], [1]])
    often = pass_rate([[1] * 9, [0] * 9, [1] * 9, [1] * 9, [0] * 9, [1] * 9])
    assert once and often and once.interval and often.interval
    assert often.interval.low == pytest.approx(once.interval.low)
    assert (often.tasks, often.attempts) == (6, 54)


def test_few_tasks_have_no_interval_and_none_no_rate() -> None:
    two = pass_rate([[1, 1, 1], [0, 1, 0], []])
    assert two is not None
    assert two.value == pytest.approx(4 / 6)
    assert (two.interval, two.tasks) == (None, 2)
    assert pass_rate([[], []]) is None


def test_where_all_pass_it_is_still_not_certain() -> None:
    found = pass_rate([[1, 1, 1]] * 5)
    assert found and found.interval
    assert found.value == found.interval.high == 1
    assert 0.5 < found.interval.low < 0.8


@pytest.mark.parametrize("attempts", [1, 3, 5, 10])
def test_pass_at_k_is_that_of_the_paper(attempts: int) -> None:
    for passed, k in itertools.product(range(attempts + 1), range(1, attempts + 1)):
        # The paper's own program.
        papers = 1.0
        if attempts - passed >= k:
            rest = np.arange(attempts - passed + 1, attempts + 1)
            papers = 1.0 - float(np.prod(1.0 - k / rest))
        # What it estimates: of all ways to draw k, how many have one that passed.
        drawn = list(itertools.combinations([1] * passed + [0] * (attempts - passed), k))
        found = pass_at_k([[1] * passed + [0] * (attempts - passed)], k)
        assert found is not None
        assert found.value == pytest.approx(papers)
        assert found.value == pytest.approx(sum(map(max, drawn)) / len(drawn))


def test_pass_at_k_leaves_out_tasks_that_cannot_tell() -> None:
    found = pass_at_k([[1, 0], [1], [0, 0], [1, 1]], 2)
    assert found and found.interval
    assert found.value == pytest.approx(2 / 3)
    assert (found.tasks, found.attempts) == (3, 6)
    # Student's t of 1, 0 and 1, as far as it is possible.
    assert (found.interval.low, found.interval.high) == (0, 1)
    assert pass_at_k([[1], [0]], 2) is None


def test_a_median_of_independent_values_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(size=101)
    found = median([[value] for value in values])
    assert found and found.interval
    assert found.value == pytest.approx(float(np.median(values)))
    tested = scipy.stats.quantile_test(values, q=float(np.median(values)))
    ranks = np.sort(values)
    ours = np.searchsorted(ranks, (found.interval.low, found.interval.high))
    theirs = np.searchsorted(ranks, np.asarray(tested.confidence_interval(0.95)))
    # Theirs is exact and a little wider; a rank is as near as two methods come.
    assert np.abs(ours - theirs).max() <= 1


def test_a_median_knows_that_attempts_at_one_task_are_alike() -> None:
    centres = np.random.default_rng(4).normal(size=15)
    once = median([[value] for value in centres])
    often = median([[value - 1e-9, value, value + 1e-9] for value in centres])
    assert once and often and once.interval and often.interval
    assert often.interval.low == pytest.approx(once.interval.low, abs=1e-6)
    assert often.interval.high == pytest.approx(once.interval.high, abs=1e-6)


def test_a_difference_of_few_tasks_is_that_of_the_paired_t_test() -> None:
    first, second = [0.2, 0.6, 0.4, 0.0, 1.0], [0.6, 0.8, 0.4, 0.2, 0.8]
    found = paired_difference([[a] for a in first], [[b, b] for b in second])
    assert found and found.interval
    other = scipy.stats.ttest_rel(second, first)
    interval = other.confidence_interval(0.95)
    assert found.method == "student_t"
    assert found.value == pytest.approx(0.12)
    assert found.p_value == pytest.approx(float(other.pvalue))
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high))


def test_the_bootstrap_is_near_the_exact_one() -> None:
    # All 6,435 ways to draw eight of eight tasks, each with how often it comes.
    differences = np.array([0.0, 0.2, 0.6, -0.2, 0.4, 0.8, 0.2, 1.0])
    tasks = len(differences)
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(tasks)
    distances, weights = [], []
    for drawn in itertools.combinations_with_replacement(range(tasks), tasks):
        values = differences[list(drawn)]
        spread_ = values.std(ddof=1) / math.sqrt(tasks)
        ways = math.factorial(tasks)
        for count in Counter(drawn).values():
            ways //= math.factorial(count)
        if spread_ > 1e-12:
            distances.append(abs(values.mean() - mean) / spread_)
            weights.append(ways / tasks**tasks)
    order = np.argsort(distances)
    reached = np.cumsum(np.array(weights)[order])
    exact = np.array(distances)[order][np.searchsorted(reached, 0.95)]
    beyond = float(np.sum(np.array(weights)[np.array(distances) >= mean / error]))

    found = paired_difference([[0.0]] * tasks, [[value] for value in differences])
    assert found and found.interval and found.p_value
    assert (found.method, tasks) == ("bootstrap_t", BOOTSTRAP_TASKS)
    assert (found.interval.high - mean) / error == pytest.approx(exact, rel=0.05)
    assert found.interval.high - mean == pytest.approx(mean - found.interval.low)
    assert found.p_value == pytest.approx(beyond, abs=4 * math.sqrt(beyond / RESAMPLES))
    # Again, it says the same to the digit.
    assert paired_difference([[0.0]] * tasks, [[v] for v in differences]) == found


def test_tasks_that_hardly_differ_are_no_bootstrap() -> None:
    # One of ten differs: of three resamples one has no spread at all.
    found = paired_difference([[0.0]] * 10, [[1.0]] + [[0.0]] * 9)
    assert found and found.interval
    assert found.method == "student_t"
    other = scipy.stats.ttest_1samp([1.0] + [0.0] * 9, 0.0)
    assert found.p_value == pytest.approx(float(other.pvalue))


def test_where_no_task_differs_chance_alone_gives_the_interval() -> None:
    first = second = [[1.0]] * 60
    without = paired_difference(first, second)
    assert without and without.interval is None and without.p_value is None
    variance = chance_variance(first, second)
    # 62 of 64 pass, as Agresti and Coull count it.
    assert variance == pytest.approx(2 * (62 / 64) * (2 / 64) / 60)
    found = paired_difference(first, second, least_variance=variance)
    assert found and found.interval
    assert 0.05 < found.interval.high < 0.08
    assert found.p_value == pytest.approx(1)


def test_differences_take_tasks_that_both_did_and_two_are_too_few() -> None:
    found = paired_difference([[1], [], [0], [1]], [[0], [1], [0], []])
    assert found is not None
    assert (found.value, found.tasks, found.interval, found.p_value) == (-0.5, 2, None, None)
    assert paired_difference([[1], []], [[], [1]]) is None


def test_holm_is_that_of_the_worked_example() -> None:
    # R's documentation of p.adjust and statsmodels 0.15.0 say the same of both.
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_tasks_flip_where_the_majority_changes() -> None:
    first = [[0, 0, 1], [1, 1], [1, 0], [0], [1], []]
    second = [[1, 1, 0], [0, 0], [1, 1], [0], [1], [1]]
    found = flips(first, second)
    assert (found.gained, found.lost) == ([0], [1])


SHROUT_FLEISS = [
    [9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7],
]  # fmt: skip


def test_the_spread_is_that_of_shrout_and_fleiss() -> None:
    found = spread(SHROUT_FLEISS)
    assert found and found.repeats_share is not None
    # Their table 4: within targets 6.26; between them 11.24, so that ICC(1,1) is .17.
    assert found.between_repeats == pytest.approx(6.26, abs=0.005)
    assert found.between_tasks == pytest.approx((11.24 - 6.26) / 4, abs=0.005)
    assert 1 - found.repeats_share == pytest.approx(0.17, abs=0.005)


def test_spread_of_unequal_tasks_and_of_none() -> None:
    values = [[1.0, 2.0, 3.0], [5.0], [2.0, 2.0]]
    found = spread(values)
    assert found is not None
    # By hand: sums of squares 2 within and 10 - 3 * 0.25 - ... between, in 3 and 2 parts.
    grand = 15 / 6
    within = 2 / 3
    among = (3 * (2 - grand) ** 2 + (5 - grand) ** 2 + 2 * (2 - grand) ** 2) / 2
    typical = (6 - (9 + 1 + 4) / 6) / 2
    assert found.between_repeats == pytest.approx(within)
    assert found.between_tasks == pytest.approx((among - within) / typical)
    assert spread([[1.0, 2.0]]) is None
    assert spread([[1.0], [2.0], [3.0]]) is None
    same = spread([[1.0, 1.0], [1.0, 1.0]])
    assert same and same.repeats_share is None
    alike = spread([[0.0, 1.0], [1.0, 0.0]])
    assert alike and alike.repeats_share == 1


@pytest.mark.parametrize(
    ("effect", "tasks", "tests", "expected"),
    # statsmodels 0.15.0, TTestPower().power(effect, tasks, 0.05 / tests). The first is also the
    # worked example of G*Power: an effect of 0.5 takes 34 pairs.
    [(0.5, 34, 1, 0.80778), (0.5, 5, 1, 0.14052), (1.0, 5, 1, 0.40139), (0.2, 60, 1, 0.33168),
     (0.8, 20, 1, 0.92390), (0.5, 34, 3, 0.65334)],
)  # fmt: skip
def test_power_is_that_of_statsmodels(
    effect: float, tasks: int, tests: int, expected: float
) -> None:
    # One unit of variance in all, in two parts.
    variation = Variation(between=0.6, within=2.0)
    assert power(effect, variation, tasks, 5, tests) == pytest.approx(expected, abs=1e-5)


def test_with_many_tasks_power_is_the_formula_of_the_paper() -> None:
    variation = Variation(between=1 / 9, within=1 / 3)
    found = detectable(variation, 2000, 4)
    assert found is not None
    assert found == pytest.approx(
        (1.95996 + 0.84162) * math.sqrt((1 / 9 + 1 / 12) / 2000), rel=1e-3
    )
    assert power(found, variation, 2000, 4) == pytest.approx(0.8)
    assert power(0.5, variation, 1, 4) == 0
    certain = [power(1.0, variation, tasks, 10) for tasks in (30, 60, 400, 10_000)]
    assert certain == pytest.approx([1.0] * 4, abs=1e-6)
    assert detectable(variation, 3, 1) is None


def test_how_much_values_vary_is_found_in_them() -> None:
    random = np.random.default_rng(8)
    easy = random.uniform(size=4000)
    shift = random.normal(scale=0.1, size=4000)
    first, second = (
        [random.normal(centre, 0.3, 5).tolist() for centre in centres]
        for centres in (easy, easy + 0.1 + shift)
    )
    found = variation_of(first, second)
    assert found is not None
    assert found.between == pytest.approx(0.01, abs=0.004)
    assert found.within == pytest.approx(0.18, rel=0.05)
    assert variation_of([[1], [0]], [[1], [0]]) is None


BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
]  # fmt: skip


def test_strengths_are_those_of_agrestis_baseball_teams() -> None:
    games = [
        Choice(task=number, first=a, second=b, score=1.0)
        for a, b in itertools.permutations(range(7), 2)
        for number in range(BASEBALL[a][b])
    ]
    found = bradley_terry(games, 7)
    assert found is not None
    # Agresti, "Categorical Data Analysis", 2002, section 10.6: Milwaukee to Baltimore.
    above_last = [round(team.value - found[-1].value, 2) for team in found]
    assert above_last == [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0]
    assert sum(team.value for team in found) == pytest.approx(0, abs=1e-9)


JUDGED = {
    # task: whether the first won, of five pairs
    0: (0, 1, 1, 0.5, 1), 1: (0, 1, 0, 1, 0.5), 2: (1, 0.5, 0, 1, 0.5),
    3: (0.5, 1, 1, 0, 1), 4: (1, 1, 0, 1, 1), 5: (1, 1, 1, 1, 0),
}  # fmt: skip
PAIRS = ((0, 1), (0, 2), (1, 2), (0, 1), (1, 2))
CHOICES = [
    Choice(task, *pair, score)
    for task, scores in JUDGED.items()
    for pair, score in zip(PAIRS, scores, strict=True)
]


def test_errors_of_strengths_are_those_of_statsmodels() -> None:
    found = bradley_terry(CHOICES, 3)
    assert found is not None
    # statsmodels 0.15.0, GLM(Binomial) with cov_type="cluster", each less their mean. It
    # corrects for the number of coefficients as well, by 29 in 28.
    assert [one.value for one in found] == pytest.approx([0.80490, -0.12733, -0.67758], abs=1e-4)
    quantile = scipy.stats.t.ppf(0.975, 5)
    errors = [(i.high - i.low) / 2 / quantile for one in found if (i := one.interval)]
    theirs = [0.279805, 0.423115, 0.289149]
    assert errors == pytest.approx([e * math.sqrt(28 / 29) for e in theirs], rel=1e-3)


def test_errors_of_strengths_shrink_as_there_is_more_to_go_by() -> None:
    widths = []
    for times in (1, 10, 100):
        more = [
            Choice(choice.task + 6 * number, choice.first, choice.second, choice.score)
            for number in range(times)
            for choice in CHOICES
        ]
        found = bradley_terry(more, 3)
        assert found is not None
        widths.append([i.high - i.low for one in found if (i := one.interval)])
    assert all(more < less / 3 for less, more in zip(*widths[:2], strict=True))
    assert widths[2] == pytest.approx([width / math.sqrt(10) for width in widths[1]], rel=0.04)


def test_strengths_that_would_be_infinite_are_not_told() -> None:
    always = [Choice(task, 0, 1, 1.0) for task in range(9)]
    assert bradley_terry(always, 2) is None
    assert bradley_terry(CHOICES, 4) is None
    assert bradley_terry([*always, Choice(9, 0, 1, 0.5)], 2) is not None
    few = bradley_terry([Choice(0, 0, 1, 1.0), Choice(1, 0, 1, 0.0)], 2)
    assert few and [one.interval for one in few] == [None, None]


def test_win_rates_count_ties_half_and_tasks_as_one() -> None:
    found = win_rate(CHOICES, 0)
    assert found and found.interval
    assert found.value == pytest.approx((1.5 + 2 + 2.5 + 1.5 + 3 + 3) / 18)
    assert (found.tasks, found.attempts) == (6, 18)
    assert win_rate(CHOICES, 3) is None
