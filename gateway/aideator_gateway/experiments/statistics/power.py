"""How large a difference an experiment of some size can tell."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from aideator_gateway.experiments.statistics.estimate import CONFIDENCE, Groups

POWER = 0.8
"""How often a difference is to be found that is there."""


@dataclass(frozen=True)
class Variation:
    """How much values vary.

    Attributes
    ----------
    between
        Variance, over tasks, of the true difference between two conditions.
    within
        Variance between attempts of one condition at one task, summed over both conditions.
    """

    between: float
    within: float


ASSUMED = Variation(between=1 / 9, within=2 / 6)
"""Where nothing is known: tasks of every difficulty, from those that no attempt passes to those
that each one does, all equally many. Attempts at one task then vary by 1/6 and difficulties by
1/12 (Miller, arXiv 2411.00640, section 3.1). That difficulties agree to a third between two
conditions, which is careful, makes 1/9 of their difference."""


def power(
    difference: float, variation: Variation, tasks: int, repeats: int, tests: int = 1
) -> float:
    """Return how often a difference is found that is there.

    Miller, arXiv 2411.00640, section 5: the difference's variance is (between + within /
    repeats) / tasks. In place of the normal distribution, which promises too much with few
    tasks, the noncentral t of the test that is used (Cohen, "Statistical Power Analysis for the
    Behavioral Sciences", 1988, section 2.2).

    Parameters
    ----------
    tests
        How many comparisons there are: each is taken at its share of 5 %.
    """
    if tasks < 2:
        return 0.0
    error = ((variation.between + variation.within / repeats) / tasks) ** 0.5
    freedom = tasks - 1
    critical = float(stdtrit(freedom, 1 - (1 - CONFIDENCE) / (2 * tests)))
    shift = abs(difference) / error
    # What is too small to be computed comes out as no number at all.
    inside, below = np.nan_to_num(nctdtr(freedom, shift, np.array([critical, -critical])))
    return 1 - float(inside) + float(below)


def detectable(variation: Variation, tasks: int, repeats: int, tests: int = 1) -> float | None:
    """Return the smallest difference of pass rates that is found in 80 of 100 experiments.

    ``None`` where even the largest that there can be, from none to all, is found less often.
    """
    if power(1.0, variation, tasks, repeats, tests) < POWER:
        return None
    found = brentq(lambda d: power(d, variation, tasks, repeats, tests) - POWER, 1e-9, 1.0)
    return float(found)


def variation_of(first: Groups, second: Groups) -> Variation | None:
    """Return how much values vary, from what was seen; ``None`` if that cannot be told.

    Parameters
    ----------
    first, second
        Values by task, the same tasks in the same order.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if len(a) > 1 and len(b) > 1]
    if len(pairs) < 2:
        return None
    own = [np.var(a, ddof=1) + np.var(b, ddof=1) for a, b in pairs]
    noise = [np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b) for a, b in pairs]
    differences = [np.mean(b) - np.mean(a) for a, b in pairs]
    between = float(np.var(differences, ddof=1)) - float(np.mean(noise))
    return Variation(between=max(0.0, between), within=float(np.mean(own)))
