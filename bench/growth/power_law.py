"""Power laws fitted by least squares of the logarithms, with standard errors, and what they predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fitted ``factor * n ** exponent``.

    Attributes
    ----------
    error : float
        Standard error of the exponent; nan with fewer than three points.
    low, high : float
        Least and greatest n of the points.
    mean_log : float
        Mean logarithm of n.
    residual : float
        Standard deviation of the residuals, in logarithms.
    points : int
        Number of points.
    """

    factor: float
    exponent: float
    error: float
    low: float
    high: float
    mean_log: float
    residual: float
    points: int

    def at(self, n: float) -> float:
        """Return the fitted value at n."""
        return self.factor * math.pow(n, self.exponent)

    def interval_at(self, n: float) -> tuple[float, float]:
        """Return the values two standard errors of the fit below and above the fitted value at n."""
        error = math.hypot(self.residual / math.sqrt(self.points), self.error * (math.log(n) - self.mean_log))
        return self.at(n) * math.exp(-2 * error), self.at(n) * math.exp(2 * error)

    @property
    def has_error(self) -> bool:
        """Whether there were enough points for a standard error."""
        return not math.isnan(self.error)


def fit_power_law(n: Sequence[float], values: Sequence[float | None], least: float = 0) -> PowerLaw | None:
    """Fit a power law to the known values at ``n >= least``; None with fewer than two.

    Parameters
    ----------
    n : sequence of float
    values : sequence of float or None
        Greater than 0; None if unknown.
    least : float
    """
    pairs = [(math.log(a), math.log(b)) for a, b in zip(n, values, strict=True) if b is not None and a >= least]
    if len(pairs) < 2:
        return None
    x, y = np.array(pairs).T
    centred = x - x.mean()
    exponent = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - exponent * centred
    freedom = len(x) - 2
    residual = math.sqrt(residuals @ residuals / freedom) if freedom else math.nan
    factor = math.exp(y.mean() - exponent * x.mean())
    low, high = math.exp(x.min()), math.exp(x.max())
    error = residual / math.sqrt(centred @ centred)
    return PowerLaw(factor, exponent, error, round(low), round(high), float(x.mean()), residual, len(x))


def format_power_law(law: PowerLaw | None) -> str:
    """Format the exponent and the range of n: ``n^0.47 ± 0.02 (10,000 to 1,000,000)``."""
    if law is None:
        return "too few sizes"
    error = f" ± {law.error:.2f}" if law.has_error else ""
    return f"n^{law.exponent:.2f}{error} ({law.low:,.0f} to {law.high:,.0f})"
