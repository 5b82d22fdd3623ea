"""Optimizers take the steps that those of PyTorch take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.data.batch import Array
from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.training.optimizers import OPTIMIZERS, SGD, AdamW, make_optimizer, slot_type
from tests.core.training.running import session

STEPS = 10
SHAPE = (3, 4)
RATE = 0.05

Make = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]

LIKE_TORCH: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, RATE),
    "sgd:weight-decay=0.1": lambda p: torch.optim.SGD(p, RATE, weight_decay=0.1),
    "sgd:momentum=0.9": lambda p: torch.optim.SGD(p, RATE, 0.9),
    "sgd:momentum=0.9,dampening=0.3": lambda p: torch.optim.SGD(p, RATE, 0.9, 0.3),
    "sgd:momentum=0.8,nesterov=yes,weight-decay=0.05": lambda p: torch.optim.SGD(
        p, RATE, 0.8, nesterov=True, weight_decay=0.05
    ),
    "adam": lambda p: torch.optim.Adam(p, RATE),
    "adam:beta1=0.5,beta2=0.9,epsilon=0.001,weight-decay=0.1": lambda p: torch.optim.Adam(
        p, RATE, (0.5, 0.9), 0.001, 0.1
    ),
    "adamw": lambda p: torch.optim.AdamW(p, RATE),
    "adamw:weight-decay=0.2,beta1=0": lambda p: torch.optim.AdamW(
        p, RATE, (0.0, 0.999), weight_decay=0.2
    ),
}


def gradients(dtype: Any = np.float64) -> list[Array]:
    """Return gradients of all sizes, some of them 0."""
    rng = np.random.default_rng(3)
    all_ = rng.standard_normal((STEPS, *SHAPE)) * 10.0 ** rng.integers(-6, 3, SHAPE)
    all_[:, 0, 0] = 0
    return [*all_.astype(dtype)]


def start(dtype: Any = np.float64) -> Array:
    return np.random.default_rng(5).standard_normal(SHAPE).astype(dtype)


def ours(spec: str, dtype: Any) -> list[Array]:
    """Return the parameter after every step."""
    optimizer = make_optimizer(spec)
    p = start(dtype)
    wide = slot_type(ir.DataType.from_numpy(p.dtype)).numpy()
    slots = {name: np.zeros(SHAPE, wide) for name in optimizer.slots}
    rate, step = np.array(RATE, np.float32), np.array(0, np.float32)

    def emit(op: Builder, x: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        state = {name: x[name] for name in optimizer.slots}
        new, after = optimizer.build(op, x["p"], x["g"], x["rate"], state, x["step"])
        assert after.keys() == state.keys()
        return {"p": new, **after}

    run = session({"p": p, "g": p, "rate": rate, "step": step, **slots}, emit)
    found = []
    for number, g in enumerate(gradients(dtype), start=1):
        feeds = {"p": p, "g": g, "rate": rate, "step": np.array(number, np.float32), **slots}
        out = run.run(feeds)
        p, slots = out["new p"], {name: out[f"new {name}"] for name in slots}
        found.append(p)
    return found


def torchs(make: Make, dtype: torch.dtype) -> list[Array]:
    p = torch.tensor(start(), dtype=dtype, requires_grad=True)
    optimizer = make([p])
    for group in optimizer.param_groups:
        group["lr"] = float(np.float32(RATE))
    found = []
    for g in gradients():
        p.grad = torch.tensor(g, dtype=dtype)
        optimizer.step()
        found.append(p.detach().numpy().copy())
    return found


@pytest.mark.parametrize("spec", LIKE_TORCH)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_ten_steps_are_those_of_pytorch(spec: str, dtype: Any, tolerance: float) -> None:
    wanted = torchs(LIKE_TORCH[spec], getattr(torch, np.dtype(dtype).name))
    for ours_now, theirs_now in zip(ours(spec, dtype), wanted, strict=True):
        assert ours_now.dtype == dtype
        np.testing.assert_allclose(ours_now, theirs_now, rtol=tolerance, atol=tolerance)


def test_every_optimizer_is_compared() -> None:
    compared = {make_optimizer(spec).name for spec in LIKE_TORCH} | {"lamb"}
    assert compared == set(OPTIMIZERS)


def test_half_precision_is_updated_in_float32() -> None:
    found = ours("adam", np.float16)[-1]
    assert found.dtype == np.float16
    wanted = torchs(LIKE_TORCH["adam"], torch.float32)[-1]
    np.testing.assert_allclose(found, wanted, atol=STEPS * 2e-3)


def test_lamb_follows_its_paper() -> None:
    # You et al. 2019, algorithm 2, with the identity for φ.
    p, m, v = start(), np.zeros(SHAPE), np.zeros(SHAPE)
    rate = float(np.float32(RATE))
    for t, (g, found) in enumerate(zip(gradients(), ours("lamb", np.float64), strict=True), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        r = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.01 * p
        p = p - rate * np.linalg.norm(p) / np.linalg.norm(r) * r
        np.testing.assert_allclose(found, p, rtol=1e-12)


def test_lamb_moves_a_parameter_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.core.training.test_optimizers.start", lambda d: np.zeros(SHAPE, d))
    first = ours("lamb", np.float64)[0]
    assert np.isfinite(first).all()
    assert first.any()


def test_mistakes_are_explained() -> None:
    with pytest.raises(UnknownNameError, match="no optimizer called 'adamv'; did you mean 'adam"):
        make_optimizer("adamv")
    with pytest.raises(OptionError, match="sgd: nesterov needs a momentum, and no dampening"):
        make_optimizer("sgd:nesterov=yes")
    with pytest.raises(OptionError, match="adam: beta2 is 1; it must be at least 0 and less than"):
        make_optimizer("adam:beta2=1")
    assert make_optimizer({"use": "adamw", "weight-decay": 0}) == AdamW(weight_decay=0)
    assert make_optimizer("sgd").slots == ()
    assert SGD(momentum=0.9).slots == ("momentum",)
