"""How much is to be zero at which step: the published curves, as functions of numbers.

A step is the number of updates done so far; the unit may as well be epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def polynomial(
    step: float, begin: float, end: float, initial: float, final: float, power: float = 3.0
) -> float:
    """Return ``s_f + (s_i - s_f) (1 - (t - t₀) / (t₁ - t₀))^p``, `initial` before, `final` after.

    Power 3 is the curve of Zhu & Gupta 2017 (arXiv:1710.01878), TFMOT's ``PolynomialDecay``
    and torchao's ``CubicSL`` with ``t₁ = t₀ + n Δt``.
    """
    if step >= max(begin, end):
        return final
    if step <= begin:
        return initial
    left = 1 - (step - begin) / (end - begin)
    return float(final + (initial - final) * left**power)


def last_of_gradual(begin: int, end: int, frequency: int) -> int:
    """Return the last of ``begin, begin + frequency, …`` before `end` (Distiller's span).

    Distiller's ``AutomatedGradualPruner`` reaches the final share there, not at `end`, which
    its policies leave out.
    """
    return begin + max((end - begin - 1) // frequency, 0) * frequency


def cubic(
    step: float,
    begin: float,
    end: float,
    initial: float,
    final: float,
    *,
    initially_zero: bool = False,
) -> float:
    """Return the cubic curve of torchao's ``CubicSL``; before `begin`, 0 if that is wished."""
    if step < begin and initially_zero:
        return 0.0
    return polynomial(step, begin, end, initial, final)


def remaining(rounds: int, rate: float, final: float) -> tuple[float, ...]:
    """Return the share after each round that prunes `rate` of what is left, up to `final`."""
    shares = [1 - (1 - rate) ** done for done in range(1, rounds)]
    return (*(share for share in shares if share < final), final)


def rounds_to(rate: float, final: float) -> int:
    """Return in how many rounds `rate` of what is left makes at least `final` of all."""
    return max(1, math.ceil(math.log(1 - final) / math.log(1 - rate) - 1e-9))


def cosine_fraction(step: float, end: float, fraction: float) -> float:
    """Return ``f/2 (1 + cos(π t / T))``: what share RigL replaces (Evci et al. 2020)."""
    return fraction / 2 * (1 + math.cos(math.pi * min(step / end, 1)))


def erdos_renyi_kernel(shapes: Sequence[Sequence[int]], sparsity: float) -> tuple[float, ...]:
    """Return the share of zeros of each tensor, after Erdős-Rényi-Kernel (RigL, section 3).

    The density is proportional to the sum of the sizes of the axes divided by their product,
    at most 1, and such that all together have the sparsity wanted.

    Args:
        shapes: Those of the tensors, none of them empty.
        sparsity: The share of zeros of all together.
    """
    sizes = np.array([math.prod(shape) for shape in shapes], float)
    raw = np.array([sum(shape) for shape in shapes]) / sizes
    full = np.zeros(len(sizes), bool)
    wanted = (1 - sparsity) * sizes.sum()
    while True:
        left = wanted - sizes[full].sum()
        scale = left / max(float((raw * sizes)[~full].sum()), 1e-12)
        over = ~full & (raw * scale > 1)
        if not over.any():
            densities = np.where(full, 1.0, raw * scale)
            return tuple(float(1 - density) for density in densities)
        full |= over
