"""How far judges agree."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from aideator_gateway.experiments.statistics.estimate import (
    CONFIDENCE,
    LEAST_TASKS,
    Estimate,
    Interval,
)

Floats = npt.NDArray[np.float64]

RESAMPLES = 2_000

_SEED = 2011

Level = Literal["nominal", "ordinal"]


def agreement(units: Mapping[str, Sequence[Sequence[float]]]) -> Estimate | None:
    """Return Krippendorff's alpha of what judges said, ``None`` where nothing can be told.

    1 is full agreement, 0 is what chance would make. Answers are ordinal: a tie lies between one
    side and the other (``alpha``). The interval is a bootstrap over tasks, for pairs of one task
    are alike: percentiles of 2,000 resamples (Hayes and Krippendorff, "Answering the Call for a
    Standard Reliability Measure for Coding Data", Communication Methods and Measures 1, 2007, which
    resamples what was said; here whole tasks are drawn).

    Parameters
    ----------
    units
        By task, for each pair what its judges said: 0, 0.5 or 1. A pair that only one has judged
        says nothing.
    """
    tasks = [
        table
        for said in units.values()
        if (table := _counts([one for one in said if len(one) > 1])) is not None
    ]
    if not tasks:
        return None
    value = _alpha(np.concatenate(tasks))
    if value is None:
        return None
    return Estimate(
        value=value,
        interval=_interval(tasks) if len(tasks) >= LEAST_TASKS else None,
        tasks=len(tasks),
        attempts=sum(len(table) for table in tasks),
    )


def alpha(units: Sequence[Sequence[float]], level: Level = "ordinal") -> float | None:
    """Return Krippendorff's alpha, ``None`` where all that was said is the same.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): one minus observed by
    expected disagreement, for any number of judges, some of whom said nothing of some units.

    Parameters
    ----------
    units
        What was said of each, one value for each judge who said something.
    level
        Whether values have an order.
    """
    values = sorted({value for unit in units for value in unit})
    counts = np.array(
        [[list(unit).count(value) for value in values] for unit in units], dtype=float
    )
    return _alpha(counts, level)


_VALUES = (0.0, 0.5, 1.0)


def _counts(said: Sequence[Sequence[float]]) -> Floats | None:
    """Return how often each value was said of each unit."""
    if not said:
        return None
    return np.array([[list(one).count(value) for value in _VALUES] for one in said], dtype=float)


def _alpha(counts: Floats, level: Level = "ordinal") -> float | None:
    judges = counts.sum(axis=1)
    counts, judges = counts[judges > 1], judges[judges > 1]
    # How often two values were said of one unit, each unit with the weight of its judges.
    weighted = counts / (judges - 1)[:, None]
    together = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    totals = together.sum(axis=0)
    distance = _distance(totals, level)
    expected = float((np.outer(totals, totals) * distance).sum())
    if expected == 0:
        return None
    return 1 - (float(totals.sum()) - 1) * float((together * distance).sum()) / expected


def _distance(totals: Floats, level: Level) -> Floats:
    """Return how much two values differ, squared."""
    if level == "nominal":
        return np.asarray(1 - np.eye(len(totals)), dtype=float)
    # Values in between count whole, the two themselves half.
    middles = np.cumsum(totals) - totals / 2
    return np.asarray((middles[:, None] - middles[None, :]) ** 2, dtype=float)


def _interval(tasks: Sequence[Floats]) -> Interval | None:
    random = np.random.default_rng(_SEED)
    drawn = [
        _alpha(np.concatenate([tasks[at] for at in random.integers(0, len(tasks), len(tasks))]))
        for _ in range(RESAMPLES)
    ]
    known = [one for one in drawn if one is not None]
    # Where most resamples tell nothing, neither do the others.
    if len(known) < RESAMPLES / 2:
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(low=float(low), high=float(high))
