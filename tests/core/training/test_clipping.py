"""Gradients are clipped as PyTorch clips them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from onnxpress.autodiff.tensor import Tensor
from onnxpress.data.batch import Array
from onnxpress.training.clipping import clip_by_norm, clip_by_value, global_norm
from tests.core.training.running import session
from tests.graphs import normal


def clipped(arrays: Sequence[Array], clip: Callable[[Sequence[Tensor]], list[Tensor]]) -> list[Any]:
    named = {f"g{i}": array for i, array in enumerate(arrays)}

    def emit(_op: object, x: Any) -> dict[str, Tensor]:
        return dict(zip(named, clip([*x.values()]), strict=True))

    found = session(named, emit).run(named)
    return [found[f"new {name}"] for name in named]


def like_torch(arrays: Sequence[Array], clip: Callable[[Any], Any]) -> list[Any]:
    parameters = [torch.zeros(array.shape, requires_grad=True) for array in arrays]
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.grad = torch.tensor(array)
    clip(parameters)
    return [p.grad.numpy() for p in parameters if p.grad is not None]


@pytest.mark.parametrize("largest", [0.5, 3.0, 1e3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_global_norm_is_limited(largest: float, count: int) -> None:
    arrays = [normal(3, 4), normal(7, seed=1), np.array(0.3, np.float32)][:count]
    found = clipped(arrays, lambda g: clip_by_norm(g, largest))
    wanted = like_torch(arrays, lambda p: torch.nn.utils.clip_grad_norm_(p, largest))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_values_are_limited() -> None:
    arrays = [normal(3, 4), normal(7, seed=1)]
    found = clipped(arrays, lambda g: clip_by_value(g, 0.5))
    wanted = like_torch(arrays, lambda p: torch.nn.utils.clip_grad_value_(p, 0.5))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gradients_of_zeros_stay() -> None:
    found = clipped([np.zeros(3, np.float32)], lambda g: clip_by_norm(g, 1))
    assert not found[0].any()


def test_half_precision_does_not_overflow() -> None:
    array = np.full(100, 200, np.float16)  # the sum of squares is 4e6
    norm = clipped([array], lambda g: [global_norm(g)])[0]
    assert norm.dtype == np.float32
    assert norm == pytest.approx(2000)
    found = clipped([array], lambda g: clip_by_norm(g, 1))[0]
    np.testing.assert_allclose(found, 0.1, rtol=1e-3)
