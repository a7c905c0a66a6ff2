"""Conditions beside each other: how much they differ, and whether that is more than chance."""

from collections.abc import Sequence

from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.attempts import by_task
from aideator_gateway.experiments.report.model import (
    AttemptFacts,
    Compared,
    Comparison,
    Verdict,
)
from aideator_gateway.experiments.report.words import comparison_sentence
from aideator_gateway.experiments.statistics.difference import (
    Difference,
    chance_variance,
    paired_difference,
)
from aideator_gateway.experiments.statistics.estimate import CONFIDENCE, Estimate, Groups
from aideator_gateway.experiments.statistics.flips import flips
from aideator_gateway.experiments.statistics.holm import holm

Pair = tuple[str, str]


def comparisons_of(
    plan: Plan, attempts: Sequence[AttemptFacts], pairs: Sequence[Pair] | None = None
) -> list[Comparison]:
    """Return each pair of conditions that is compared.

    A condition passes more or fewer than another one where the difference's own interval says
    so and its p-value does after Holm's correction for all pairs; else one cannot tell.

    Parameters
    ----------
    pairs
        Names of conditions; those that the experiment's file asks for, if not given.
    """
    pairs = plan.comparisons if pairs is None else pairs
    named = {name for pair in pairs for name in pair}
    passed = {name: by_task(plan, attempts, name, _passed) for name in named}
    costs = {name: by_task(plan, attempts, name, lambda one: one.cost_usd) for name in named}
    rates = _corrected([_rate_difference(passed[a], passed[b]) for a, b in pairs])
    money = _corrected([paired_difference(costs[a], costs[b]) for a, b in pairs])
    return [
        _comparison(plan, attempts, pair, (passed[pair[0]], passed[pair[1]]), (rate, cost))
        for pair, rate, cost in zip(pairs, rates, money, strict=True)
    ]


def _passed(attempt: AttemptFacts) -> float | None:
    return None if attempt.passed is None else float(attempt.passed)


def _rate_difference(first: Groups, second: Groups) -> Difference | None:
    least = chance_variance(first, second) if any(first) and any(second) else 0.0
    return paired_difference(first, second, least_variance=least)


def _corrected(found: Sequence[Difference | None]) -> list[Compared | None]:
    """Correct p-values for each other; a difference without one takes no part in that."""
    tested = [one.p_value for one in found if one and one.p_value is not None]
    adjusted = iter(holm(tested))
    return [
        None
        if one is None
        else Compared(
            difference=Estimate.model_validate(one.model_dump(include=set(Estimate.model_fields))),
            p_value=one.p_value,
            adjusted_p_value=None if one.p_value is None else next(adjusted),
            method=one.method,
        )
        for one in found
    ]


def _comparison(
    plan: Plan,
    attempts: Sequence[AttemptFacts],
    pair: Pair,
    passed: tuple[Groups, Groups],
    found: tuple[Compared | None, Compared | None],
) -> Comparison:
    rate, cost = found
    flipped = flips(*passed)
    tasks = [task.name for task in plan.experiment.tasks]
    verdict = rate and verdict_of(rate)
    told = Comparison(
        first=pair[0],
        second=pair[1],
        pass_rate=rate,
        cost_usd=cost,
        verdict=verdict,
        gained=[tasks[number] for number in flipped.gained],
        lost=[tasks[number] for number in flipped.lost],
        sentence="",
    )
    priced = any(one.done and one.cost_usd is not None for one in attempts)
    return told.model_copy(
        update={"sentence": comparison_sentence(told, plan.experiment.repeats, priced=priced)}
    )


def verdict_of(rate: Compared) -> Verdict:
    """Return whether the second condition passes more, fewer, or one cannot tell."""
    interval, p_value = rate.difference.interval, rate.adjusted_p_value
    if interval is None or p_value is None or p_value >= 1 - CONFIDENCE:
        return "cannot_tell"
    if interval.low > 0:
        return "more"
    return "fewer" if interval.high < 0 else "cannot_tell"
