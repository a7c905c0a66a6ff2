"""The mean of values that come in groups, and how sure it is."""

from dataclasses import dataclass

import numpy as np

from aideator_gateway.experiments.statistics.estimate import Groups


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over all values, with its variance.

    Attributes
    ----------
    variance
        Of the mean, from how the groups differ.
    freedom
        Degrees of freedom of that variance; 0 where there is none.
    size
        How many values there are.
    """

    mean: float
    variance: float
    freedom: float
    size: int


def clustered_mean(groups: Groups) -> ClusteredMean:
    """Return the mean, with a variance that is right for few groups and for unequal ones.

    Clustered standard errors as in Miller, "Adding Error Bars to Evals" (arXiv 2411.00640),
    appendix A, but with the correction CR2 and the degrees of freedom of Bell and McCaffrey, "Bias
    Reduction in Standard Errors for Linear Regression with Multi-Stage Samples" (Survey
    Methodology 28, 2002), in the closed form that they have for a mean: the paper's own variance
    is too small with few groups. Where all groups have the same size it is the variance of
    their means by their number, with one degree of freedom less than there are groups.

    Parameters
    ----------
    groups
        None of them is empty.
    """
    sizes = np.array([len(group) for group in groups], dtype=float)
    sums = np.array([sum(group) for group in groups], dtype=float)
    size = float(sizes.sum())
    mean = float(sums.sum() / size)
    if len(groups) < 2:
        return ClusteredMean(mean, 0.0, 0.0, int(size))
    rest = size - sizes
    residuals = sums - sizes * mean
    variance = float(np.sum(residuals**2 / (1 - sizes / size)) / size**2)
    freedom = size**2 / (
        size**2 * np.sum(sizes**2 / rest**2)
        - 2 * size * np.sum(sizes**3 / rest**2)
        + np.sum(sizes**2 / rest) ** 2
    )
    return ClusteredMean(mean, variance, float(freedom), int(size))
