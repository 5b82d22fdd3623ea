"""Initializers: random values for weights that are trained from scratch.

Gains and bounds are those of `torch.nn.init`.  Every tensor draws from a generator of its own,
seeded by its name, so that its values do not depend on which other tensors there are.
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias, final

import numpy as np
from pydantic import Field

from onnxpress.recipe.chosen import Chosen, Written, by_name, choose

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

Distribution: TypeAlias = Literal["normal", "uniform"]
Nonlinearity: TypeAlias = Literal["linear", "sigmoid", "tanh", "relu", "leaky-relu", "selu"]

_GAINS: Final = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


@dataclass(frozen=True, slots=True)
class Fan:
    """How many numbers go into each output of a layer, and how many come out of each input.

    Attributes:
        into: The weights that each output is a sum over.
        out: The weights that each input is multiplied by.
    """

    into: int
    out: int


class Initializer(Chosen):
    """A way to draw weights."""

    @abstractmethod
    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        """Return new weights as float64; axis 0 counts output channels."""


@final
class Kaiming(Initializer):
    """Keeps the variance of activations through layers that a nonlinearity follows (He 2015)."""

    name: ClassVar[str] = "kaiming"

    distribution: Distribution = Field(default="normal", description="what is drawn from")
    fan: Literal["in", "out"] = Field(
        default="in", description="in keeps the variance of activations, out that of gradients"
    )
    nonlinearity: Nonlinearity = Field(default="relu", description="what follows the layer")
    slope: float = Field(default=0.01, description="below 0, for leaky-relu")

    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        count = fan.into if self.fan == "in" else fan.out
        deviation = gain(self.nonlinearity, self.slope) / math.sqrt(max(count, 1))
        return _spread(shape, deviation, self.distribution, rng)


@final
class Xavier(Initializer):
    """Keeps the variance of activations and gradients alike (Glorot & Bengio 2010)."""

    name: ClassVar[str] = "xavier"

    distribution: Distribution = Field(default="uniform", description="what is drawn from")
    gain: float = Field(default=1.0, gt=0, description="what weights are multiplied by")

    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        deviation = self.gain * math.sqrt(2 / max(fan.into + fan.out, 1))
        return _spread(shape, deviation, self.distribution, rng)


@final
class Orthogonal(Initializer):
    """Rows (or columns, if they are fewer) at right angles (Saxe et al. 2013)."""

    name: ClassVar[str] = "orthogonal"

    gain: float = Field(default=1.0, gt=0, description="what weights are multiplied by")

    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        del fan
        rows = shape[0] if shape else 1
        columns = math.prod(shape[1:])
        drawn = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        # With the signs of r taken out, the result is uniform over all orthogonal matrices.
        q *= np.where(np.diag(r) < 0, -1, 1)
        matrix: Array = q.T if rows < columns else q
        return self.gain * matrix.reshape(shape)


@final
class TruncatedNormal(Initializer):
    """Normal values, none further out than two standard deviations."""

    name: ClassVar[str] = "truncated-normal"

    deviation: float = Field(default=0.02, gt=0, description="standard deviation before the cut")

    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        del fan
        values = rng.standard_normal(shape)
        while (outside := np.abs(values) > _CUT).any():
            values[outside] = rng.standard_normal(int(outside.sum()))
        return self.deviation * values


_CUT: Final = 2


@final
class Filled(Initializer):
    """The same number everywhere."""

    name: ClassVar[str] = "filled"

    value: float = Field(default=0.0, description="the number")

    def draw(self, shape: Sequence[int], fan: Fan, rng: np.random.Generator) -> Array:
        del fan, rng
        return np.full(shape, self.value)


def gain(nonlinearity: Nonlinearity, slope: float = 0.01) -> float:
    """Return by how much weights grow to make up for what follows, as `calculate_gain`."""
    if nonlinearity == "leaky-relu":
        return math.sqrt(2 / (1 + slope**2))
    return _GAINS[nonlinearity]


def _spread(
    shape: Sequence[int], deviation: float, distribution: Distribution, rng: np.random.Generator
) -> Array:
    if distribution == "normal":
        return deviation * rng.standard_normal(shape)
    bound = math.sqrt(3) * deviation
    return rng.uniform(-bound, bound, shape)


def generator(seed: int, name: str) -> np.random.Generator:
    """Return a generator of random numbers for one tensor."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


INITIALIZERS: Final = by_name(Kaiming, Xavier, Orthogonal, TruncatedNormal, Filled)


def make_initializer(written: Written[Initializer]) -> Initializer:
    """Return the initializer that is meant: ``"kaiming:fan=out"``; see `choose`."""
    return choose(Initializer, INITIALIZERS, "initializer", written)  # type: ignore[type-abstract]
