"""What follows from timings: quantiles, spread, and ratios that say how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

CONFIDENCE: Final = 0.95
LEAST_ROUNDS: Final = 6  # fewer can't give an interval at 95 %: 2 / 2**5 > 0.05
_MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio and its 95 % confidence interval; None where rounds are too few for one."""

    value: float
    interval: tuple[float, float] | None


def latency_ms(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Return median, p90 and p99 of single runs, in milliseconds."""
    median, p90, p99 = map(float, np.percentile(nanoseconds, [50, 90, 99]) / 1e6)
    return {"median": round(median, 6), "p90": round(p90, 6), "p99": round(p99, 6)}


def spread(values: Sequence[float]) -> float:
    """Return the robust relative standard deviation: 1.4826 · MAD / median."""
    middle = float(np.median(values))
    return _MAD_TO_SIGMA * float(np.median(np.abs(np.subtract(values, middle)))) / middle


def paired_ratio(
    ours: Sequence[float], first: Sequence[float], groups: Sequence[int] = ()
) -> Ratio:
    """Return how much `ours` is of `first`, measured in the same rounds.

    Round by round the logarithm of the ratio is taken, in which drift cancels out.  Its
    Hodges-Lehmann estimate (the median of all pairwise means) and the interval that
    inverts Wilcoxon's signed-rank test follow (Hollander, Wolfe & Chicken, Nonparametric
    Statistical Methods, 3.2 and 3.3).  The interval holds for any noise that is as likely
    to favour one side as the other; outliers hardly move it.

    Args:
        ours: A time of every round, shape (rounds,).
        first: The times of the other model in the same rounds.
        groups: Which rounds belong together, as a number for each round, because they share
            a cause of error.  If there are enough groups for an interval, their means count
            in place of the rounds.
    """
    logs = np.log(np.asarray(ours, dtype=float)) - np.log(np.asarray(first, dtype=float))
    if len(set(groups)) >= LEAST_ROUNDS:
        logs = np.array([logs[np.equal(groups, group)].mean() for group in sorted(set(groups))])
    i, j = np.triu_indices(len(logs))
    means = np.sort((logs[i] + logs[j]) / 2)
    cut = _signed_rank_cut(len(logs))
    if cut is None:
        return Ratio(float(np.exp(np.median(means))), None)
    value, low, high = np.exp([np.median(means), means[cut], means[-1 - cut]])
    return Ratio(float(value), (float(low), float(high)))


def _signed_rank_cut(n: int) -> int | None:
    """Return the largest t with P(T ≤ t) ≤ 2.5 %: as many pairwise means lie below the interval."""
    tail = np.cumsum(_signed_rank_distribution(n))
    cut = int(np.searchsorted(tail, (1 - CONFIDENCE) / 2, side="right")) - 1
    return cut if cut >= 0 else None


def _signed_rank_distribution(n: int) -> Array:
    """Return P(T = t), t = 0 … n(n+1)/2, where each rank counts with probability 1/2."""
    chances = np.ones(1)
    for rank in range(1, n + 1):
        skip, take = np.pad(chances, (0, rank)), np.pad(chances, (rank, 0))
        chances = (skip + take) / 2
    return chances
