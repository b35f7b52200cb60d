"""How something grows: a power of n by least squares of the logarithms, its uncertainty, and what it says of more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Power:
    """``factor * n ** exponent``, fitted.

    Attributes
    ----------
    error : float
        Standard error of the exponent; nan of fewer than three points.
    low, high : float
        Least and greatest n that it was fitted to.
    """

    factor: float
    exponent: float
    error: float
    low: float
    high: float
    centre: float
    """Mean logarithm of n."""
    noise: float
    """Standard deviation of what is left, in logarithms."""
    points: int

    def at(self, n: float) -> float:
        """Value that the fit gives at n."""
        return self.factor * math.pow(n, self.exponent)

    def between(self, n: float) -> tuple[float, float]:
        """Values two standard errors of the fit below and above that at n."""
        spread = math.hypot(self.noise / math.sqrt(self.points), self.error * (math.log(n) - self.centre))
        return self.at(n) * math.exp(-2 * spread), self.at(n) * math.exp(2 * spread)

    @property
    def known(self) -> bool:
        """Whether there were points enough to say how sure the exponent is."""
        return not math.isnan(self.error)


def fit(n: Sequence[float], values: Sequence[float | None], least: float = 0) -> Power | None:
    """Fit a power to the values known from ``least`` on; None with fewer than two.

    Parameters
    ----------
    n : sequence of float
    values : sequence of float or None
        Above 0.
    least : float
    """
    pairs = [(math.log(a), math.log(b)) for a, b in zip(n, values, strict=True) if b is not None and a >= least]
    if len(pairs) < 2:
        return None
    x, y = np.array(pairs).T
    away = x - x.mean()
    exponent = float(away @ y / (away @ away))
    left = y - y.mean() - exponent * away
    free = len(x) - 2
    noise = math.sqrt(left @ left / free) if free else math.nan
    factor = math.exp(y.mean() - exponent * x.mean())
    low, high = math.exp(x.min()), math.exp(x.max())
    error = noise / math.sqrt(away @ away)
    return Power(factor, exponent, error, round(low), round(high), float(x.mean()), noise, len(x))


def tell(power: Power | None) -> str:
    """Write an exponent: ``n^0.47 ± 0.02 (10,000 to 1,000,000)``."""
    if power is None:
        return "too few sizes"
    sure = f" ± {power.error:.2f}" if power.known else ""
    return f"n^{power.exponent:.2f}{sure} ({power.low:,.0f} to {power.high:,.0f})"
