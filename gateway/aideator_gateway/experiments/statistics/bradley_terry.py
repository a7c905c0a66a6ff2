"""How strong conditions are, from whom people chose over whom."""

from collections.abc import Sequence

import choix
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, stdtrit

from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.experiments.statistics.estimate import (
    CONFIDENCE,
    LEAST_TASKS,
    Estimate,
    Interval,
)

Floats = npt.NDArray[np.float64]


def bradley_terry(choices: Sequence[Choice], conditions: int) -> list[Estimate] | None:
    """Return each condition's strength, ``None`` where the choices do not tell.

    Bradley and Terry, "Rank Analysis of Incomplete Block Designs" (Biometrika 39, 1952): the log
    odds that one is chosen over another are the difference of their strengths, which add up to
    0. A tie is half a win for both. The strengths are those of the greatest likelihood, as
    ``choix`` finds them. Their intervals are Student's t over tasks, with a sandwich variance that
    knows that choices at one task belong together (Cameron and Miller, "A Practitioner's Guide
    to Cluster-Robust Inference", Journal of Human Resources 50, 2015, sections II and VI).

    Parameters
    ----------
    conditions
        How many there are; choices call them by their number.

    Returns
    -------
    ``None`` unless one can get from every condition to every other one by going from
    chosen to not chosen. Else some strength would be infinite (Ford, "Solution of a Ranking
    Problem from Binary Comparisons", The American Mathematical Monthly 64, 1957).
    """
    if conditions < 2 or not _connected(choices, conditions):
        return None
    # Twice, so that a tie can be once each way.
    pairs = [
        pair
        for choice in choices
        for pair in (
            [(choice.first, choice.second)] * round(2 * choice.score)
            + [(choice.second, choice.first)] * round(2 - 2 * choice.score)
        )
    ]
    strengths = np.asarray(choix.ilsr_pairwise(conditions, pairs), dtype=float)
    strengths = strengths - strengths.mean()
    tasks = sorted({choice.task for choice in choices})
    errors = _errors(choices, strengths, tasks)
    quantile = float(stdtrit(len(tasks) - 1, (1 + CONFIDENCE) / 2)) if len(tasks) > 1 else 0.0
    return [
        Estimate(
            value=float(strength),
            interval=Interval(
                low=float(strength - quantile * error), high=float(strength + quantile * error)
            )
            if len(tasks) >= LEAST_TASKS
            else None,
            tasks=len(tasks),
            attempts=len(choices),
        )
        for strength, error in zip(strengths, errors, strict=True)
    ]


def _connected(choices: Sequence[Choice], conditions: int) -> bool:
    beats = np.zeros((conditions, conditions))
    for choice in choices:
        beats[choice.first, choice.second] += choice.score
        beats[choice.second, choice.first] += 1 - choice.score
    parts, _ = connected_components(csr_matrix(beats), directed=True, connection="strong")
    return int(parts) == 1


def _errors(choices: Sequence[Choice], strengths: Floats, tasks: Sequence[int]) -> Floats:
    """Return the standard error of each strength."""
    size = len(strengths)
    design = np.zeros((len(choices), size))
    for row, choice in zip(design, choices, strict=True):
        row[choice.first], row[choice.second] = 1.0, -1.0
    expected = expit(design @ strengths)
    information = design.T @ (design * (expected * (1 - expected))[:, None])
    scores = design * (np.array([choice.score for choice in choices]) - expected)[:, None]
    sums = np.zeros((len(tasks), size))
    np.add.at(sums, [tasks.index(choice.task) for choice in choices], scores)
    # Only differences are known: the direction in which all strengths grow alike is left out.
    alike = np.full((size, size), 1 / size)
    scale = float(np.trace(information))
    bread = np.linalg.inv(information + scale * alike) - alike / scale
    correction = len(tasks) / max(1, len(tasks) - 1)
    variance = bread @ (correction * sums.T @ sums) @ bread
    return np.asarray(np.sqrt(np.clip(np.diag(variance), 0.0, None)), dtype=float)
