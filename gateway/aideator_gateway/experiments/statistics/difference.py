"""How much one condition differs from another, task by task."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import stdtr, stdtrit

from aideator_gateway.experiments.statistics.estimate import (
    CONFIDENCE,
    LEAST_TASKS,
    Estimate,
    Groups,
    Interval,
)

Method = Literal["student_t", "bootstrap_t"]

BOOTSTRAP_TASKS = 8
"""With fewer tasks there is too little to draw from: Student's t is closer to the truth."""

RESAMPLES = 9_999

_SEED = 20_241_101
"""The same attempts always say the same."""

_DEGENERATE = 0.01
"""Most of the resamples that may have no spread."""

_CHUNK = 1_000

Floats = npt.NDArray[np.float64]


class Difference(Estimate):
    """What the second condition has more than the first, as a mean over tasks."""

    p_value: float | None = Field(
        description="How often so much would be seen by chance alone; null without an interval."
    )
    method: Method | None = Field(description="What the interval is computed with.")


def paired_difference(
    first: Groups, second: Groups, *, least_variance: float = 0.0, resamples: int = RESAMPLES
) -> Difference | None:
    """Return the mean of the tasks' differences, ``None`` if no task has both.

    Each task counts once, however often it was tried: what makes it hard or easy is the same
    for both conditions and drops out (Miller, arXiv 2411.00640, section 4).

    From ``BOOTSTRAP_TASKS`` tasks on the interval is a symmetric bootstrap-t over tasks: each
    resample draws tasks, and its distance from the mean is taken in its own standard errors
    (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 12; Hall, "The
    Bootstrap and Edgeworth Expansion", 1992, section 3.6). With fewer tasks, or where more than
    1 % of the resamples have no spread, it is Student's t. A bootstrap by percentiles would be
    too narrow for so few.

    Parameters
    ----------
    first, second
        Values by task, the same tasks in the same order.
    least_variance
        Variance of the difference to go by where all tasks differ by the very same;
        0 for none, and then no interval.
    resamples
        How often the bootstrap draws.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if len(a) and len(b)]
    if not pairs:
        return None
    differences = np.array([np.mean(b) - np.mean(a) for a, b in pairs], dtype=float)
    mean, tasks = float(differences.mean()), len(pairs)
    variance = float(differences.var(ddof=1)) / tasks if tasks > 1 else 0.0
    # Sums of fractions are not exact.
    spread = variance > 1e-24 * (1 + mean**2)
    error = math.sqrt(variance if spread else least_variance)
    interval, p_value, method = None, None, None
    if tasks >= LEAST_TASKS and error > 0:
        method, quantile, p_value = _student(abs(mean) / error, tasks - 1)
        if spread and tasks >= BOOTSTRAP_TASKS:
            distances = _distances(differences, resamples)
            if len(distances) >= (1 - _DEGENERATE) * resamples:
                method, quantile, p_value = _bootstrap(abs(mean) / error, distances)
        interval = Interval(low=mean - quantile * error, high=mean + quantile * error)
    return Difference(
        value=mean,
        interval=interval,
        tasks=tasks,
        attempts=sum(len(a) + len(b) for a, b in pairs),
        p_value=p_value,
        method=method,
    )


def _student(distance: float, freedom: int) -> tuple[Method, float, float]:
    quantile = float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return "student_t", quantile, 2 * float(stdtr(freedom, -distance))


def _bootstrap(distance: float, distances: Floats) -> tuple[Method, float, float]:
    quantile = float(np.quantile(distances, CONFIDENCE, method="higher"))
    # One more than were seen: no number of resamples shows that something never happens.
    beyond = 1 + int(np.count_nonzero(distances >= distance))
    return "bootstrap_t", quantile, beyond / (len(distances) + 1)


def _distances(differences: Floats, resamples: int) -> Floats:
    """Return how far resamples are from the mean, in their own standard errors."""
    return np.concatenate(list(_chunks(differences, resamples)))


def _chunks(differences: Floats, resamples: int) -> Iterator[Floats]:
    random = np.random.default_rng(_SEED)
    tasks, mean = len(differences), differences.mean()
    for start in range(0, resamples, _CHUNK):
        number = min(_CHUNK, resamples - start)
        drawn = differences[random.integers(0, tasks, (number, tasks))]
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(tasks)
        whole = errors > 1e-12
        yield np.abs(drawn.mean(axis=1)[whole] - mean) / errors[whole]


def chance_variance(first: Groups, second: Groups) -> float:
    """Return the variance that a difference of pass rates has at least, from chance alone.

    Between attempts that pass with the same chance; that chance is taken as if two more had
    passed and two more had not, so that it is never 0 or 1 (Agresti and Coull, "Approximate is
    Better than Exact", The American Statistician 52, 1998).
    """
    return _of_one(first) + _of_one(second)


def _of_one(groups: Groups) -> float:
    size = sum(len(group) for group in groups)
    share = (sum(sum(group) for group in groups) + 2) / (size + 4)
    return share * (1 - share) / max(1, size)
