"""How many attempts pass their check."""

from aideator_gateway.experiments.statistics.clustered import clustered_mean
from aideator_gateway.experiments.statistics.estimate import LEAST_TASKS, Estimate, Groups, filled
from aideator_gateway.experiments.statistics.proportion import proportion_interval


def pass_rate(groups: Groups) -> Estimate | None:
    """Return the share of attempts that pass, ``None`` without any.

    The interval is for tasks like these, of which they are taken to be a sample: it knows that
    attempts at one task belong together (``clustered_mean``) and stays inside 0 and 1
    (``proportion_interval``).

    Parameters
    ----------
    groups
        1 for each attempt that passed and 0 for each other one, by task.
    """
    groups = filled(groups)
    if not groups:
        return None
    found = clustered_mean(groups)
    few = len(groups) < LEAST_TASKS
    return Estimate(
        value=found.mean,
        interval=None if few else proportion_interval(found),
        tasks=len(groups),
        attempts=found.size,
    )
