"""The median of cost, tokens, time and the like."""

import math

import numpy as np

from aideator_gateway.experiments.statistics.clustered import clustered_mean
from aideator_gateway.experiments.statistics.estimate import (
    LEAST_TASKS,
    Estimate,
    Groups,
    Interval,
    filled,
)
from aideator_gateway.experiments.statistics.proportion import proportion_interval


def median(groups: Groups) -> Estimate | None:
    """Return the median over all attempts, ``None`` without any.

    The interval is Woodruff's ("Confidence Intervals for Medians and Other Position Measures",
    Journal of the American Statistical Association 47, 1952): the one of the share of attempts
    up to the median, read off as values. That share's interval knows that attempts at one task
    belong together (``proportion_interval``).

    Parameters
    ----------
    groups
        Values by task.
    """
    groups = filled(groups)
    if not groups:
        return None
    values = np.sort(np.concatenate([np.asarray(group, dtype=float) for group in groups]))
    middle = float(np.median(values))
    interval = None
    if len(groups) >= LEAST_TASKS:
        below = clustered_mean([[float(value <= middle) for value in group] for group in groups])
        shares = proportion_interval(below, 0.5)
        last = len(values) - 1
        low = min(last, max(0, math.ceil(shares.low * len(values)) - 1))
        high = min(last, max(0, math.ceil(shares.high * len(values)) - 1))
        interval = Interval(low=float(values[low]), high=float(values[high]))
    return Estimate(value=middle, interval=interval, tasks=len(groups), attempts=len(values))
