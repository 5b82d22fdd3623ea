"""From a budget of parameters or bytes to the share that must be zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.errors import OptionError

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ElementScores
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.ranking import Mask
    from onnxpress_pruning.structures.structure import MaskStructure
    from onnxpress_pruning.targets import Target

_SLACK: Final = 1e-4  # of a budget that may be left unused


@dataclass(frozen=True, slots=True)
class _Measure:
    """What a budget counts.

    Attributes:
        unit: In words.
        plain: What a tensor takes as it is.
        left: What it takes with so many zeros.
    """

    unit: str
    plain: Callable[[Weight], int]
    left: Callable[[Weight, int], int]


def _bytes(weight: Weight) -> int:
    return weight.tensor.nbytes


def _packed(weight: Weight, zeros: int) -> int:
    """Return the bytes of a bit mask and of the values left, or of all if those are fewer."""
    mask = math.ceil(weight.size / 8)
    values = math.ceil((weight.size - zeros) * weight.dtype.bitwidth / 8)
    return min(mask + values, _bytes(weight))


_PARAMETERS: Final = _Measure("parameters", lambda w: w.size, lambda w, zeros: w.size - zeros)
_BYTES: Final = _Measure("bytes", _bytes, _packed)


def share_within(
    step: Pruning,
    model: Model,
    structure: MaskStructure,
    targets: Sequence[Target],
    scores: ElementScores,
) -> float | None:
    """Return the smallest share that keeps the budget of a step; None if it has none.

    Weights that are no targets count with those that are not zero (`parameters`), or with
    all their bytes (`bytes`).

    Raises:
        OptionError: If no share does; says what can be reached.
    """
    if step.parameters is not None:
        measure, wanted = _PARAMETERS, step.parameters
    elif step.bytes is not None:
        measure, wanted = _BYTES, step.bytes
    else:
        return None
    every = {w.name: w for layer in model.layers for w in layer.tensors}
    budget = wanted * sum(map(measure.plain, every.values())) if wanted < 1 else wanted
    chosen = {target.weight.name for target in targets}
    rest = sum(_rest(measure, w) for name, w in every.items() if name not in chosen)

    def left(share: float) -> int:
        goes = structure.masks(targets, scores, share)
        pairs = zip(targets, goes, strict=True)
        return rest + sum(measure.left(t.weight, _zeros(t.weight, m)) for t, m in pairs)

    return _search(left, budget, measure.unit, sum(t.weight.size for t in targets))


def _rest(measure: _Measure, weight: Weight) -> int:
    if measure is _BYTES:
        return _bytes(weight)
    return int(np.count_nonzero(weight.array()))


def _zeros(weight: Weight, goes: Mask) -> int:
    return int(np.count_nonzero(goes | (weight.array().reshape(-1) == 0)))


def _search(left: Callable[[float], int], budget: float, unit: str, size: int) -> float:
    """Return the smallest share at which no more than `budget` is left, but for `_SLACK`."""
    low, high = 0, size - 1  # so many of all; `high` is enough
    if (best := left(high / size)) > budget:
        raise OptionError(
            f"{unit}={budget:,.0f} can't be met: {best:,} are left when all is pruned that may be "
            "(one weight of each tensor stays, what at-most holds back, and what is not to be "
            "pruned, such as biases and excluded layers)"
        )
    most = left(low)
    if most <= budget:
        return 0.0
    for halving in cycle((False, True)):  # what is left falls nearly evenly
        if high - low <= 1 or best >= budget * (1 - _SLACK):
            return high / size
        evenly = (most - budget) / (most - best)
        middle = low + math.ceil((high - low) * (0.5 if halving else evenly))
        middle = min(max(middle, low + 1), high - 1)
        if (now := left(middle / size)) <= budget:
            high, best = middle, now
        else:
            low, most = middle, now
    raise AssertionError("cycle never ends")
