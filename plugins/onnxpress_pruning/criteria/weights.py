"""Criteria that rank single weights by nothing but the weights: l1, l2, lamp, random, given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final
from zlib import crc32

import numpy as np
from pydantic import Field, field_serializer

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress_pruning.arrays import read_arrays
from onnxpress_pruning.criteria.criterion import (
    ChannelScores,
    Criterion,
    ElementScores,
    Scores,
    Subject,
)

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.data.batch import Array
    from onnxpress.graph.weights import Weight


@final
class L1(Criterion):
    """|w| (Han et al. 2015).  Of a channel: the sum over its slices (Li et al. 2017)."""

    name: ClassVar[str] = "l1"

    def elements(self, subject: Subject) -> ElementScores:
        del subject
        return lambda weight: np.abs(floats(weight))


@final
class L2(Criterion):
    """w², without a root, as in Torch-Pruning; for single weights the same order as `L1`."""

    name: ClassVar[str] = "l2"

    def elements(self, subject: Subject) -> ElementScores:
        del subject
        return lambda weight: np.square(floats(weight))


@final
class Lamp(Criterion):
    """w² over the sum of all u² of the tensor that are not smaller (Lee et al. 2021, eq. 3).

    Within a tensor the order is that of `L1`; the point is how much each tensor loses when
    all are ranked together.  The largest weight of every tensor scores 1.
    """

    name: ClassVar[str] = "lamp"
    always_global: ClassVar[bool] = True

    def elements(self, subject: Subject) -> ElementScores:
        scores = {weight.name: _lamp(weight) for weight in subject.targets}
        return lambda weight: scores[weight.name] if weight.name in scores else _lamp(weight)


def _lamp(weight: Weight) -> Scores:
    """Return LAMP scores as float32."""
    magnitudes = np.abs(floats(weight)).ravel()
    largest = magnitudes.max(initial=0, where=np.isfinite(magnitudes))
    order = np.argsort(magnitudes)
    ascending = magnitudes[order]
    squares = np.square(ascending / (largest or 1), dtype=np.float64)
    not_smaller = np.cumsum(squares[::-1])[::-1]
    # Equal weights have equal scores, whatever order a sort has left them in.
    starts = np.r_[0, np.flatnonzero(np.diff(ascending)) + 1]
    lengths = np.diff(starts, append=ascending.size)
    runs = squares[starts] / np.maximum(not_smaller[starts], np.finfo(float).tiny)
    scores = np.empty(ascending.size, np.float32)
    scores[order] = np.repeat(runs.astype(np.float32), lengths)
    return scores.reshape(weight.shape)


@final
class Random(Criterion):
    """Uniform random numbers: the control that every other criterion must beat.

    They depend on the seed of the job and on the name of the tensor, and on nothing else.
    """

    name: ClassVar[str] = "random"

    def elements(self, subject: Subject) -> ElementScores:
        seed = subject.job.seed
        return lambda weight: _drawn(seed, weight.name).random(weight.shape, np.float32)

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        del groups
        seed = subject.job.seed
        return lambda group: _drawn(seed, group.name).random(group.size, np.float32)


def _drawn(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


@final
class Given(Criterion):
    """Scores that a user brings along, by name of tensor; |score| counts, as in PyTorch.

    Tensors for which there are none are ranked by |w|.
    """

    name: ClassVar[str] = "given"

    scores: Path | Mapping[str, Any] = Field(
        description="scores in the shape of the weights: a .npz, by name of the stored tensor"
    )

    def elements(self, subject: Subject) -> ElementScores:
        known = {weight.name: weight for weight in subject.targets}
        given = read_arrays(self.scores, "scores")
        for name, scores in given.items():
            if name not in known:
                raise UnknownNameError("weight to score", name, known)
            _check(name, scores, known[name])
        return lambda weight: np.abs(np.asarray(given.get(weight.name, floats(weight)), float))

    @field_serializer("scores", when_used="json")
    def _scores_in_words(self, scores: Path | Mapping[str, Any]) -> str:
        return f"arrays: {', '.join(scores)}" if isinstance(scores, Mapping) else str(scores)


def _check(name: str, scores: Array, weight: Weight) -> None:
    if scores.shape != weight.shape or scores.dtype.kind not in "biuf":
        raise OptionError(
            f"the scores {name!r} are {scores.dtype} of shape {scores.shape}, and the weight is of "
            f"shape {weight.shape}; give one real number for each weight"
        )


def floats(weight: Weight) -> Scores:
    """Return the elements of a tensor as float32, or float64 if they are."""
    array = weight.array()
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
