"""Wilson's interval for a proportion of values that come in groups."""

import math

from scipy.special import stdtrit

from aideator_gateway.experiments.statistics.clustered import ClusteredMean
from aideator_gateway.experiments.statistics.estimate import CONFIDENCE, Interval


def proportion_interval(found: ClusteredMean, share: float | None = None) -> Interval:
    """Return the interval of a proportion.

    Wilson's score interval (Journal of the American Statistical Association 22, 1927) with two
    changes that surveys make: the effective sample size in place of the number of
    values, which is how many independent ones would be as sure (Kish, "Survey Sampling", 1965),
    and a quantile of Student's t in place of the normal one. Compared with others by Franco,
    Little, Louis and Slud, "Comparative Study of Confidence Intervals for Proportions in Complex
    Sample Surveys" (Journal of Survey Statistics and Methodology 7, 2019).

    Values that are all the same leave no variance to go by. They count as independent
    then, with the few degrees of freedom that there are.

    Parameters
    ----------
    found
        The mean of zeros and ones, or of what lies between, and its variance.
    share
        The proportion to put the interval around, if it is not the mean.
    """
    share = found.mean if share is None else share
    spread = share * (1 - share)
    size = spread / found.variance if found.variance > 0 and spread > 0 else float(found.size)
    t2 = float(stdtrit(found.freedom, (1 + CONFIDENCE) / 2)) ** 2
    middle = (share + t2 / (2 * size)) / (1 + t2 / size)
    half = math.sqrt(t2 * (spread / size + t2 / (4 * size**2))) / (1 + t2 / size)
    return Interval(low=middle - half, high=middle + half).clipped(0.0, 1.0)
