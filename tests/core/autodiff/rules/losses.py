from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import case, normal, positive


def labels(*shape: int, ignored: int | None = None) -> Array:
    """Return classes out of 4, some of them to be ignored."""
    result = np.random.default_rng(5).integers(0, 4, shape)
    if ignored is not None:
        result.reshape(-1)[1] = ignored
    return result.astype(np.int64)


def cross_entropy(x: Any, place: Any, w: Any = None, *, reduction: str, ignored: int = -100) -> Any:
    return negative(x.log_softmax(1), place, w, reduction=reduction, ignored=ignored)


def negative(x: Any, place: Any, w: Any = None, *, reduction: str, ignored: int = -100) -> Any:
    """By hand: PyTorch's own is no function of the weights."""
    counts = place != ignored
    place = torch.where(counts, place, 0)
    weights = counts * (1 if w is None else w[place])
    losses = -x.gather(1, place[:, None])[:, 0] * weights
    if reduction == "mean":
        return losses.sum() / weights.sum()
    return losses.sum() if reduction == "sum" else losses


LOSSES = {"SoftmaxCrossEntropyLoss": cross_entropy, "NegativeLogLikelihoodLoss": negative}
for op, function in LOSSES.items():
    for reduction in ("mean", "sum", "none"):
        plain = partial(function, reduction=reduction)
        of = partial(case, op, reduction=reduction)
        of(normal(3, 4), labels(3), torch=plain, note=reduction)
        of(normal(3, 4), labels(3), positive(4), torch=plain, note=f"{reduction} weighted")
        for ignored in (2, -1):
            ignoring = partial(plain, ignored=ignored)
            marked = labels(2, 3, 2, ignored=ignored)
            name = f"{reduction} ignore_index={ignored}"
            of(normal(2, 4, 3, 2), marked, ignore_index=ignored, torch=ignoring, note=name)
            of(normal(2, 4, 3, 2), marked, positive(4), ignore_index=ignored, torch=ignoring,
               note=f"{name} weighted")  # fmt: skip
    case(op, normal(3, 4), labels(3).astype(np.int32), stored=(), note="int32 labels, fed")

case("SoftmaxCrossEntropyLoss", normal(2, 4, 3), labels(2, 3), outputs=2, of=1,
     torch=lambda x, _: x.log_softmax(1), note="log_prob")  # fmt: skip
case("SoftmaxCrossEntropyLoss", normal(2, 4, 3), labels(2, 3), positive(4), outputs=2,
     torch=partial(cross_entropy, reduction="mean"), note="with log_prob")  # fmt: skip
case("SoftmaxCrossEntropyLoss", normal(3, 4) * 50, labels(3), torch=functional.cross_entropy,
     note="far out", differences=False, smooth=False)  # fmt: skip
