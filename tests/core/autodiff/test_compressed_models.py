"""What we compressed can be differentiated, and trained further."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx_ir as ir
import pytest

import onnxpress
from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.autodiff.whole_models import Whole

pytestmark = pytest.mark.slow

KINK: Final = 1e-3
MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
STD: Final = np.array([0.229, 0.224, 0.225], np.float32)


def resnet20(shared: Path) -> Model:
    """Return it with normalisations folded into its weights, as quantizing would."""
    return onnxpress.load(shared / "models/cifar10_resnet20/resnet20_dynamo.onnx")


def images(shared: Path, count: int) -> tuple[Array, Array]:
    """Return some CIFAR-10 test images as the model takes them, and their labels."""
    stored = np.load(shared / "data/cifar10_test.npz")
    pixels, labels = (stored[name][:count] for name in ("x", "y"))
    scaled = (pixels.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels.reshape(-1)


def with_floats(model: Model) -> tuple[Model, list[str]]:
    """Store the weights of a quantized model as floats, which the graph quantizes.

    That is quantization-aware training: they move, and what the layers see stays on the grid.
    """
    edit = model.edit()
    names = []
    for node in list(edit.graph):
        stored = node.inputs[0] if node.op_type == "DequantizeLinear" else None
        tensor = None if stored is None else stored.const_value
        if tensor is None or tensor.dtype != ir.DataType.INT8:
            continue
        rest = node.inputs[1:]
        scale, zero = (v.const_value.numpy() for v in rest)  # type: ignore[union-attr]
        axis = node.attributes.get_int("axis", 1)
        wide = (-1, *(1,) * (tensor.numpy().ndim - axis - 1)) if scale.ndim else ()
        floats = (tensor.numpy().astype(np.float32) - zero.reshape(wide)) * scale.reshape(wide)
        weight = edit.constant(floats.astype(np.float32), f"{tensor.name}.float")
        quantize = edit.node(
            "QuantizeLinear", [weight, *rest], f"{tensor.name}.quantized", {"axis": axis}
        )
        edit.graph.insert_before(node, quantize)
        node.replace_input_with(0, quantize.outputs[0])
        names.append(weight.name or "")
    return edit.done(), names


def test_a_pruned_network(shared: Path) -> None:
    pytest.importorskip("torch", reason="takes differences in double precision with PyTorch")
    pruned = onnxpress.compress(
        resnet20(shared), ["magnitude-pruning:sparsity=0.8,freeze=true"]
    ).model
    whole = Whole(pruned)
    assert whole.in_double is not None
    compared = [whole.differences(number) for number in range(3)]
    smooth = [d for d in compared if d.sides <= KINK * d.size(whole.gradients)]
    assert smooth, "every direction crosses a kink"
    assert max(d.error(whole.gradients) for d in smooth) < 1e-4


def test_a_quantized_network_trains(shared: Path) -> None:
    x, labels = images(shared, 64)
    feeds = [{"input": part} for part in np.split(x, 4)]
    steps = ["linear-quantization:freeze=true"]
    quantized = onnxpress.compress(resnet20(shared), steps, data=feeds).model
    model, names = with_floats(quantized)
    assert len(names) == 20
    before = Session(quantized).run({"input": x})["logits"]
    np.testing.assert_allclose(Session(model).run({"input": x})["logits"], before, atol=1e-3)

    losses = trained(model, names, x, labels, steps=6, lr=0.002)
    assert losses[0] > 0.05, losses
    assert losses[-1] < 0.5 * losses[0], losses


def test_the_gradient_of_a_quantized_network_points_where_that_of_the_floats_does(
    shared: Path,
) -> None:
    x, _ = images(shared, 64)
    model = resnet20(shared)
    quantized = onnxpress.compress(
        model, ["linear-quantization:freeze=true"], data=[{"input": x}]
    ).model
    learnable, names = with_floats(quantized)
    c = {"c": np.random.default_rng(0).standard_normal((64, 10)).astype(np.float32)}
    straight = gradient(learnable, {"logits": "c"}, names).run({"input": x, **c})
    stored = [name.removesuffix(".float") for name in names]
    exact = gradient(model, {"logits": "c"}, stored).run({"input": x, **c})
    for name, own in zip(names, stored, strict=True):
        a, b = straight[gradient_name(name)].ravel(), exact[gradient_name(own)].ravel()
        assert a @ b > 0.9 * np.linalg.norm(a) * np.linalg.norm(b), own


def trained(
    model: Model, names: list[str], x: Array, labels: Array, steps: int, lr: float
) -> list[float]:
    """Take steps of plain gradient descent; return the cross-entropy before each."""
    edit = gradient(model, {"logits": "c"}, names).edit()
    edit.graph.inputs.extend(edit.graph.initializers[name] for name in names)
    session = Session(edit.done(), threads=1)
    stored = model.ir.graph.initializers
    weights: dict[str, Any] = {n: stored[n].const_value.numpy().copy() for n in names}  # type: ignore[union-attr]
    losses = []
    for _ in range(steps):
        nothing = np.zeros((len(x), 10), np.float32)
        fed = {"input": x, **weights}
        logits = session.run({**fed, "c": nothing}, ["logits"])["logits"]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        rows = np.arange(len(x))
        losses.append(float(-np.log(p[rows, labels]).mean()))
        p[rows, labels] -= 1
        slopes = session.run({**fed, "c": p / len(x)})
        for name in names:
            weights[name] = weights[name] - np.float32(lr) * slopes[gradient_name(name)]
    return losses
