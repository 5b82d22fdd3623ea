"""Weights are drawn as PyTorch draws them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onnxpress.errors import UnknownNameError
from onnxpress.training.initializers import Fan, gain, generator, make_initializer

CONV = (64, 32, 3, 3)


def drawn(spec: str, shape: tuple[int, ...] = CONV) -> Any:
    inside = math.prod(shape[2:])
    fan = Fan(shape[1] * inside, shape[0] * inside)
    return make_initializer(spec).draw(shape, fan, generator(0, "w"))


@pytest.mark.parametrize(
    "nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky-relu", "selu"]
)
def test_gains_are_those_of_pytorch(nonlinearity: Any) -> None:
    wanted = nn.init.calculate_gain(nonlinearity.replace("-", "_"), 0.2)
    assert gain(nonlinearity, 0.2) == pytest.approx(wanted)


def of_torch(function: Any, **options: Any) -> torch.Tensor:
    torch.manual_seed(0)
    return function(torch.empty(CONV, dtype=torch.float64), **options)  # type: ignore[no-any-return]


LIKE_TORCH: dict[str, tuple[Any, dict[str, Any]]] = {
    "kaiming": (nn.init.kaiming_normal_, {"nonlinearity": "relu"}),
    "kaiming:fan=out": (nn.init.kaiming_normal_, {"nonlinearity": "relu", "mode": "fan_out"}),
    "kaiming:distribution=uniform": (nn.init.kaiming_uniform_, {"nonlinearity": "relu"}),
    "kaiming:nonlinearity=leaky-relu,slope=0.5": (nn.init.kaiming_normal_, {"a": 0.5}),
    "xavier": (nn.init.xavier_uniform_, {}),
    "xavier:distribution=normal,gain=2": (nn.init.xavier_normal_, {"gain": 2}),
    "truncated-normal:deviation=0.5": (
        nn.init.trunc_normal_,
        {"std": 0.5, "a": -1, "b": 1},
    ),
}


@pytest.mark.parametrize("spec", LIKE_TORCH)
def test_distributions_are_those_of_pytorch(spec: str) -> None:
    function, options = LIKE_TORCH[spec]
    found, wanted = drawn(spec), of_torch(function, **options).numpy()
    assert found.mean() == pytest.approx(0, abs=4 * found.std() / math.sqrt(found.size))
    # The deviation of 18432 samples is off by 0.5 %, and the highest of many points by little.
    assert found.std() == pytest.approx(wanted.std(), rel=0.03)
    quantiles = np.linspace(0.05, 0.95, 19)
    off = np.abs(np.quantile(found, quantiles) - np.quantile(wanted, quantiles))
    assert off.max() < 0.05 * wanted.std()
    if "uniform" in spec or spec == "xavier":
        assert np.abs(found).max() == pytest.approx(np.abs(wanted).max(), rel=1e-2)


@pytest.mark.parametrize("shape", [(8, 3, 2), (4, 20), (20, 4), (7,), (1, 5)])
def test_orthogonal_weights_are_at_right_angles(shape: tuple[int, ...]) -> None:
    flat = drawn("orthogonal:gain=2", (*shape, 1) if len(shape) == 1 else shape)
    flat = flat.reshape(shape[0], -1) / 2
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(square, np.eye(len(square)), atol=1e-12)


def test_filled_is_one_number() -> None:
    assert (drawn("filled:value=3") == 3).all()
    assert not drawn("filled").any()


def test_what_is_drawn_depends_on_seed_and_name_only() -> None:
    values = [generator(seed, name).random() for seed, name in ((0, "a"), (0, "b"), (1, "a"))]
    assert len({*values}) == 3
    assert generator(0, "a").random() == values[0]


def test_an_unknown_initializer_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no initializer called 'he'.*known: .*kaiming"):
        make_initializer("he")
