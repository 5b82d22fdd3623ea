"""taylor-activation against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from onnxpress.channels import Group, find_channels
from onnxpress.data.batch import Array
from onnxpress.errors import OptionError
from onnxpress_pruning.criteria.gradients_activations import TaylorActivation
from tests.core.training.nets import torch_convnet
from tests.plugins.pruning.criteria.saliency import SAMPLES, subject


def _group(tensor: str) -> Group:
    groups = find_channels(subject().model).groups
    return next(g for g in groups if any(m.tensor == tensor for m in g.members))


def _products() -> Array:
    """Return ``a·∂L/∂a`` behind the first ReLU, where L is the loss of a single sample."""
    twin = torch_convnet(frozen=True)
    found = []
    kept: list[torch.Tensor] = []
    relu = torch.relu

    def keeping(x: torch.Tensor) -> torch.Tensor:
        kept.append(relu(x))
        return kept[-1]

    for i in range(len(SAMPLES["x"])):
        kept.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "relu", keeping)
            out = twin.forward(twin.parameters, torch.tensor(SAMPLES["x"][i : i + 1]))
        loss = torch.nn.functional.cross_entropy(out, torch.tensor(SAMPLES["labels"][i : i + 1]))
        found.append((kept[0] * torch.autograd.grad(loss, kept[0])[0]).detach().numpy())
    return np.concatenate(found)


@pytest.mark.parametrize("average", ["batch", "sample"])
def test_it_is_what_each_map_does_to_the_loss(average: str) -> None:
    maps = _products().mean((2, 3))
    wanted = np.abs(maps).mean(0) if average == "sample" else np.abs(maps.mean(0))
    wanted /= np.linalg.norm(wanted)
    group = _group("w1")
    found = TaylorActivation(average=average).channels(subject(), [group])(group)  # type: ignore[arg-type]
    assert_allclose(found, wanted, rtol=1e-3)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_batches_make_no_difference() -> None:
    group = _group("w2")
    of = [subject(data={**SAMPLES, "batch": size}) for size in (3, 10)]
    first, other = (TaylorActivation().channels(one, [group])(group) for one in of)
    assert_allclose(first, other, rtol=1e-4)


def test_single_weights_are_refused() -> None:
    with pytest.raises(OptionError, match="taylor-activation ranks whole channels"):
        TaylorActivation().elements(subject())
