"""The gradient of a real network against PyTorch in double precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxpress
from onnxpress.autodiff import gradient, gradient_name
from tests.graphs import normal


def resnet20(w: Mapping[str, Any], x: Any) -> Any:
    """CIFAR ResNet-20 (He et al. 2016, section 4.2, option A), as it is when it is used."""
    from torch.nn import functional as f

    def normalized(x: Any, name: str) -> Any:
        mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return f.batch_norm(x, mean, variance, w[f"{name}.weight"], w[f"{name}.bias"])

    def block(x: Any, name: str, stride: int) -> Any:
        y = f.conv2d(x, w[f"{name}.conv1.weight"], stride=stride, padding=1)
        y = f.relu(normalized(y, f"{name}.bn1"))
        y = normalized(f.conv2d(y, w[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
        if stride > 1:
            extra = x.shape[1] // 2
            x = f.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        return f.relu(x + y)

    x = f.relu(normalized(f.conv2d(x, w["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3):
        for index in range(3):
            x = block(x, f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1)
    return f.linear(x.mean((2, 3)), w["linear.weight"], w["linear.bias"])


def test_resnet20_has_the_gradients_of_pytorch(shared: Path) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    models = shared / "models"
    file = models / "cifar10_resnets_torch/resnet20-12fca82f.th"
    stored = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    weights = {name.removeprefix("module."): t.double() for name, t in stored.items()}
    model = onnxpress.load(models / "cifar10_resnet20/resnet20_bn.onnx")
    names = list(model.parameters)
    x, c = normal(8, 3, 32, 32), normal(8, 10, seed=1)
    found = gradient(model, {"logits": "c"}, ["input", *names]).run({"input": x, "c": c})

    leaves = {name: weights[name].requires_grad_() for name in names}
    image = torch.tensor(x).double().requires_grad_()
    logits = resnet20(weights, image)
    (logits * torch.tensor(c).double()).sum().backward()

    np.testing.assert_allclose(found["logits"], logits.detach().numpy(), rtol=1e-4, atol=1e-4)
    wanted = {"input": image.grad, **{name: leaf.grad for name, leaf in leaves.items()}}
    assert len(wanted) == 1 + 19 + 2 * 19 + 2
    off = {n: apart(found[gradient_name(n)], g.numpy()) for n, g in wanted.items()}
    assert max(off.values()) < 1e-4, sorted(off.items(), key=lambda pair: -pair[1])[:3]
    every = [np.concatenate([a.reshape(-1) for a in arrays]) for arrays in zip(
        *((found[gradient_name(n)], g.numpy()) for n, g in wanted.items()), strict=True
    )]  # fmt: skip
    assert apart(every[0], every[1]) < 1e-5


def apart(found: Any, wanted: Any) -> float:
    """Return the size of the difference as a share of what is right."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
