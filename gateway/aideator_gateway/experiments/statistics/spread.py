"""How much of the spread is between attempts at one task, and how much between tasks."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from aideator_gateway.experiments.statistics.estimate import Groups, filled


class Spread(BaseModel):
    """Variance in two parts."""

    model_config = ConfigDict(frozen=True)

    between_tasks: float
    between_repeats: float

    @property
    def repeats_share(self) -> float | None:
        """Part of the variance that is between repeats; ``None`` where nothing varies."""
        whole = self.between_tasks + self.between_repeats
        return self.between_repeats / whole if whole > 0 else None


def spread(groups: Groups) -> Spread | None:
    """Return the variance between tasks and between repeats, ``None`` if that cannot be told.

    The analysis of variance's estimator for a one-way model with random tasks, also where
    they have different numbers of attempts (Searle, Casella and McCulloch, "Variance Components",
    1992, section 3.6). The share of the part between tasks is ICC(1,1) of Shrout and Fleiss,
    "Intraclass Correlations" (Psychological Bulletin 86, 1979). A part that comes out negative,
    which chance can do, is 0.

    Parameters
    ----------
    groups
        Values by task; at least two tasks, and one with two attempts.
    """
    groups = filled(groups)
    sizes = np.array([len(group) for group in groups], dtype=float)
    tasks, size = len(groups), float(sizes.sum())
    if tasks < 2 or size == tasks:
        return None
    means = np.array([np.mean(group) for group in groups])
    grand = float(np.sum(sizes * means) / size)
    within = sum(
        float(np.sum((np.asarray(g) - m) ** 2)) for g, m in zip(groups, means, strict=True)
    )
    repeats = within / (size - tasks)
    among = float(np.sum(sizes * (means - grand) ** 2)) / (tasks - 1)
    typical = (size - float(np.sum(sizes**2)) / size) / (tasks - 1)
    return Spread(between_tasks=max(0.0, (among - repeats) / typical), between_repeats=repeats)
