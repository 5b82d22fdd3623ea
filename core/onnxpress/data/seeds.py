"""Chance from a seed and a place: the same place always draws the same."""

from __future__ import annotations

from typing import Final

import numpy as np

ORDER: Final = 0
AUGMENT: Final = 1
HOLDOUT: Final = 2


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return a generator for one place, such as an epoch, or a batch of it.

    Generators of different places, and of different seeds, share nothing; none has to be
    drawn from before another.

    Args:
        seed: Any whole number from 0.
        place: What the chance is for (`ORDER`, `AUGMENT`), then where: epoch, batch, ….
    """
    # As a spawn key: (1,) and (1, 0) differ there, which they do not as entropy.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))
