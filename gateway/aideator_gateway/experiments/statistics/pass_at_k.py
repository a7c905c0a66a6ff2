"""pass@k: whether at least one of k attempts at a task passes."""

import math

from scipy.special import stdtrit

from aideator_gateway.experiments.statistics.clustered import clustered_mean
from aideator_gateway.experiments.statistics.estimate import (
    CONFIDENCE,
    LEAST_TASKS,
    Estimate,
    Groups,
    Interval,
)


def pass_at_k(groups: Groups, k: int) -> Estimate | None:
    """Return the mean over tasks of the chance that one of ``k`` attempts passes.

    For each task 1 - C(n - c, k) / C(n, k), with c of n attempts passed: the unbiased
    estimator of Chen et al., "Evaluating Large Language Models Trained on Code" (arXiv
    2107.03374), equation 1. The interval is Student's t over tasks.

    Parameters
    ----------
    groups
        1 for each attempt that passed and 0 for each other one, by task.
    k
        At least 1. Tasks with fewer attempts cannot tell, and are left out.

    Returns
    -------
    ``None`` if no task has so many attempts.
    """
    chances = [_chance(len(group), sum(map(bool, group)), k) for group in groups if len(group) >= k]
    if not chances:
        return None
    found = clustered_mean([[chance] for chance in chances])
    interval = None
    if len(chances) >= LEAST_TASKS and found.variance > 0:
        half = float(stdtrit(found.freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(found.variance)
        interval = Interval(low=found.mean - half, high=found.mean + half).clipped(0.0, 1.0)
    return Estimate(
        value=found.mean,
        interval=interval,
        tasks=len(chances),
        attempts=sum(len(group) for group in groups if len(group) >= k),
    )


def _chance(attempts: int, passed: int, k: int) -> float:
    return 1 - math.comb(attempts - passed, k) / math.comb(attempts, k)
