"""Quantizing and dequantizing again, against straight-through estimation in PyTorch.

Differences can't see these gradients: a rounded number does not move with its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from onnxpress.autodiff import gradient
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.testing.gradients import compare


class Round(torch.autograd.Function):
    """Rounding with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Any, kind: Any) -> Any:
        return x.to(kind).to(x.dtype) if kind.is_floating_point else x.round()

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        return dy, None


def rounded(x: Any, kind: Any) -> Any:
    return Round.apply(x, kind)  # type: ignore[no-untyped-call]


KINDS = {
    "int8": (np.int8, -128, 127, torch.int8),
    "uint8": (np.uint8, 0, 255, torch.uint8),
    "int16": (np.int16, -32768, 32767, torch.int16),
    "uint16": (np.uint16, 0, 65535, torch.uint16),
    "int4": (ml_dtypes.int4, -8, 7, torch.int8),
    "uint4": (ml_dtypes.uint4, 0, 15, torch.uint8),
    "float8": (ml_dtypes.float8_e4m3fn, -448, 448, torch.float8_e4m3fn),
}
# The shape of the scales, the attributes, and how scales are spread over x of shape (4, 6).
LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any], Any]] = {
    "tensor": ((), {}, lambda s: s),
    "one": ((1,), {}, lambda s: s),
    "axis": ((6,), {}, lambda s: s),
    "axis 0": ((4,), {"axis": 0}, lambda s: s[:, None]),
    "axis -2": ((4,), {"axis": -2}, lambda s: s[:, None]),
    "block": ((4, 2), {"axis": 1, "block_size": 3}, lambda s: s.repeat_interleave(3, 1)),
    "last block": ((2, 6), {"axis": -2, "block_size": 3},
                   lambda s: s.repeat_interleave(3, 0)[:4]),
}  # fmt: skip


def pair(zero: Array | None, kind: int, shape: Sequence[int], attributes: dict[str, Any],
         sizes: Sequence[int | str]) -> Model:  # fmt: skip
    """Return a model that quantizes `x` by the scale `s`, and dequantizes."""
    inputs = ["x", "s"] if zero is None else ["x", "s", "z"]
    asked: dict[str, Any] = {"output_dtype": kind} if zero is None else {}
    nodes = [
        helper.make_node("QuantizeLinear", inputs, ["q"], "q", **asked, **attributes),
        helper.make_node("DequantizeLinear", ["q", *inputs[1:]], ["y"], "y", **attributes),
    ]
    infos = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, sizes),
        helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, shape),
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, sizes)
    stored = [] if zero is None else [numpy_helper.from_array(zero, "z")]
    graph = helper.make_graph(nodes, "g", infos, [output], stored)
    opsets = [helper.make_opsetid("", 21)]
    return Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def by_torch(x: Any, s: Any, z: Any, name: str, layout: str) -> Any:
    """Quantize as LSQ does: divide, clip, round, and multiply."""
    _, low, high, kind = KINDS[name]
    spread = LAYOUTS[layout][2]
    steps = (x / spread(s) + spread(z)).clip(low, high)
    return (rounded(steps, kind) - spread(z)) * spread(s)


def example(name: str, layout: str, *, zero: bool) -> tuple[Array, Array, Array]:
    """Return an x that leaves the range on both sides, scales, and zero points."""
    dtype, low, high, _ = KINDS[name]
    rng = np.random.default_rng(3)
    scale = rng.uniform(0.5, 1.0, LAYOUTS[layout][0])
    moved = np.zeros(scale.shape)
    if zero:
        moved = rng.integers(1, 5, scale.shape).astype(float)
    x = rng.uniform(low, high, (4, 6)) * 1.1
    assert np.array_equal(moved.astype(dtype).astype(float), moved)
    return x, scale, moved


def torch_gradients(x: Array, s: Array, z: Array, dy: Array, name: str, layout: str) -> list[Array]:
    tensors = [torch.tensor(a.astype(np.float32)).double().requires_grad_() for a in (x, s)]
    y = by_torch(tensors[0], tensors[1], torch.tensor(z), name, layout)
    return [g.numpy() for g in torch.autograd.grad((y * torch.tensor(dy)).sum(), tensors)]


@pytest.mark.parametrize("symbolic", [False, True], ids=["fixed", "symbolic"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("zero", [True, False], ids=["zero point", "no zero point"])
def test_a_pair_has_the_gradients_of_lsq(
    name: str, layout: str, *, zero: bool, symbolic: bool
) -> None:
    zero = zero and name != "float8"  # whose zero points are 0
    x, s, z = example(name, layout, zero=zero)
    dtype = KINDS[name][0]
    shape, attributes, _ = LAYOUTS[layout]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    sizes: Sequence[int | str] = ("a", "b") if symbolic else x.shape
    model = pair(z.astype(dtype) if zero else None, kind, shape, attributes, sizes)
    dy = np.random.default_rng(4).standard_normal(x.shape)
    slopes = gradient(model, {"y": "dy"}, ["x", "s"])
    feeds = {"x": x, "s": s, "dy": dy}
    found = slopes.run({k: v.astype(np.float32) for k, v in feeds.items()})
    wanted = torch_gradients(x, s, z, dy, name, layout)
    assert np.mean(wanted[0] == 0) not in {0, 1}  # some of x is outside
    for key, right in zip(("x", "s"), wanted, strict=True):
        compare(f"d {key}", found[f"grad.{key}"], right, 1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradients_can_be_differentiated(layout: str) -> None:
    x, s, z = example("int8", layout, zero=True)
    shape, attributes, _ = LAYOUTS[layout]
    model = pair(z.astype(np.int8), 0, shape, attributes, x.shape)
    first = gradient(model, {"y": "dy"}, ["s"])
    second = gradient(first, {"grad.s": "ds"}, ["x", "s", "dy"], called="second.{}")
    rng = np.random.default_rng(5)
    dy, ds = rng.standard_normal(x.shape), rng.standard_normal(s.shape)
    feeds = {"x": x, "s": s, "dy": dy, "ds": ds}
    found = second.run({k: v.astype(np.float32) for k, v in feeds.items()})
    tensors = [torch.tensor(a.astype(np.float32)).double().requires_grad_() for a in (x, s, dy)]
    y = by_torch(tensors[0], tensors[1], torch.tensor(z), "int8", layout)
    (slope,) = torch.autograd.grad((y * tensors[2]).sum(), tensors[1], create_graph=True)
    wanted = torch.autograd.grad((slope * torch.tensor(ds)).sum(), tensors)
    for key, right in zip(("x", "s", "dy"), wanted, strict=True):
        # That of x is 0: what comes through q cancels what comes through x/s.
        np.testing.assert_allclose(found[f"second.{key}"], right.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "x",
    [[[1.3, -2.2, 0.4], [5.1, 0.3, -0.8]], [[1.3, 2.2], [0.4, 3.3]], [[-1.3, -2.2]]],
    ids=["both signs", "positive", "negative"],
)
def test_dynamic_quantization_has_the_gradients_of_its_scale(x: list[list[float]]) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "y"),
    ]
    array = np.array(x, np.float32)
    infos = [
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, array.shape) for n in ("x", "y")
    ]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:])
    opsets = [helper.make_opsetid("", 21)]
    model = Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    dy = np.random.default_rng(6).standard_normal(array.shape).astype(np.float32)
    found = gradient(model, {"y": "dy"}, "x").run({"x": array, "dy": dy})

    t = torch.tensor(array).double().requires_grad_()
    least, most = t.amin().clip(max=0), t.amax().clip(min=0)
    scale = (most - least) / 255
    zero = (-least / scale).round().detach()
    y = (rounded(t / scale, torch.uint8) + zero - zero) * scale
    compare("y", found["y"], y.detach().numpy(), 1e-5)
    (wanted,) = torch.autograd.grad((y * torch.tensor(dy)).sum(), t)
    compare("d x", found["grad.x"], wanted.numpy(), 1e-3)
