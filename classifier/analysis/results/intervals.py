"""95% confidence intervals of proportions and means."""

import math
from typing import NamedTuple

import numpy as np

# scipy.stats has these intervals, too, but its import takes 0.5 s.
from scipy.special import ndtri, stdtrit

CONFIDENCE = 0.95
UPPER_QUANTILE = (1 + CONFIDENCE) / 2


class Interval(NamedTuple):
    """An estimate, and the ends of its 95% confidence interval; NaN for what is undefined."""

    value: float
    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan, math.nan)


def wilson(successes: int, total: int) -> Interval:
    """Return a proportion and its Wilson score interval (Wilson, 1927), which is also valid near 0 and 1.

    Args:
        successes: Number of successes, from 0 to `total`.
        total: Number of trials. Without any, everything is NaN.
    """
    if total == 0:
        return UNDEFINED
    z, failures = float(ndtri(UPPER_QUANTILE)), total - successes
    centre = successes + z**2 / 2
    half_width = z * math.sqrt(successes * failures / total + z**2 / 4)
    # Without rounding errors, the interval of all successes ends at 1, and that of none starts at 0.
    low = (centre - half_width) / (total + z**2) if successes else 0.0
    high = (centre + half_width) / (total + z**2) if failures else 1.0
    return Interval(successes / total, low, high)


def mean_interval(values: np.ndarray) -> Interval:
    """Return the mean of a sample and the interval of Student's t-distribution.

    Args:
        values: Sample (N,), float. The ends are NaN with fewer than two values, or with any that is not finite. The
            mean is NaN without values.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        return UNDEFINED
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(values.mean())
        if len(values) == 1 or not np.isfinite(values).all():
            return Interval(mean, math.nan, math.nan)
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half_width = float(stdtrit(len(values) - 1, UPPER_QUANTILE)) * error
    return Interval(mean, mean - half_width, mean + half_width)
