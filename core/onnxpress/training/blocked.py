"""Convolutions in the channel-blocked layout of ONNX Runtime's CPU kernels (NCHWc).

ONNX Runtime brings convolutions into this layout by itself, which makes them about a third
faster, but only where the weights are constants; in training they are not.  Here the same is
done for weights that are computed: the input is reordered, the weights by a Reshape and a
Transpose, and the result back.  The operators are ONNX Runtime's own (domain
``com.microsoft.nchwc``), so this is for graphs that are run at once and never saved.  Where
ONNX Runtime has no such kernels, or takes the graph no more, everything stays as it is.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.constants import STANDARD, is_constant
from onnxpress.graph.names import values_by_name

DOMAIN: Final = "com.microsoft.nchwc"
_RANK: Final = 4


def to_blocked(model: ir.Model, block: int | None = None) -> int:
    """Rewrite the convolutions of the main graph whose weights are computed, in place.

    Args:
        model: The graph, with the types of its values.
        block: How many channels lie side by side; by default what ONNX Runtime uses here.

    Returns:
        How many were rewritten.
    """
    size = block_size() if block is None else block
    nodes = list(model.graph)
    found = [plan for node in nodes if (plan := _plan(node, size)) is not None] if size else []
    if not found:
        return 0
    names = set(values_by_name(model))
    reordered: dict[ir.Value, Tensor] = {}
    for plan in found:
        _rewrite(model.graph, plan, names, reordered)
    model.opset_imports[DOMAIN] = 1
    return len(found)


@lru_cache(maxsize=1)
def block_size() -> int:
    """Return how many channels ONNX Runtime puts side by side on this machine, 0 if none.

    It is read off what its optimizer makes of a convolution with constant weights.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        try:
            ort.InferenceSession(_probe(), options, providers=["CPUExecutionProvider"])
            graph = onnx.load(options.optimized_model_filepath).graph
        except Exception:  # noqa: BLE001  # ONNX Runtime's errors have no base; then there is none
            return 0
    blocked = [node for node in graph.node if node.domain == DOMAIN and node.op_type == "Conv"]
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    return int(shapes[blocked[0].input[1]][0]) if blocked else 0


def _probe() -> bytes:
    """Return a convolution of 64 channels to 4: the 4 are padded to one block."""
    weight = numpy_helper.from_array(np.ones((4, 64, 3, 3), np.float32), "w")
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, 8, 8])
        for name, channels in (("x", 64), ("y", 4))
    ]
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "probe", [ends[0]], [ends[1]], [weight])
    opset = helper.make_opsetid("", 21)
    made: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()
    return made


@dataclass(frozen=True, slots=True)
class _Plan:
    """A convolution to rewrite: its node, the shape of its weight, and the block size."""

    node: ir.Node
    weight: tuple[int, int, int, int]
    groups: int
    block: int


def _plan(node: ir.Node, block: int) -> _Plan | None:
    if node.op_type != "Conv" or node.domain not in STANDARD or len(node.inputs) < 2:  # noqa: PLR2004
        return None
    weight = node.inputs[1]
    if weight is None or is_constant(weight) or weight.dtype != ir.DataType.FLOAT:
        return None
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET" or weight.shape is None:
        return None
    sizes = [dim for dim in weight.shape if isinstance(dim, int)]
    if len(sizes) != _RANK or len(weight.shape) != _RANK:
        return None
    groups = node.attributes.get_int("group", 1)
    plan = _Plan(node, (sizes[0], sizes[1], sizes[2], sizes[3]), groups, block)
    return plan if _fits(plan) else None


def _fits(plan: _Plan) -> bool:
    """Say whether channels fill blocks: of a plain convolution, or of a depthwise one."""
    out, per_group, *_ = plan.weight
    depthwise = plan.groups == out and per_group == 1
    plain = plan.groups == 1 and per_group % plan.block == 0
    return out % plan.block == 0 and (plain or depthwise)


def _rewrite(
    graph: ir.Graph, plan: _Plan, names: set[str], reordered: dict[ir.Value, Tensor]
) -> None:
    """Put the blocked form in place of a node; reordered inputs are shared."""
    node = plan.node
    x, weight = node.inputs[0], node.inputs[1]
    assert x is not None
    assert weight is not None  # the operator requires both
    aside = ir.Graph([], [], nodes=[], opset_imports=graph.opset_imports)
    op = Builder(aside, names, prefix="blocked")
    if x not in reordered:
        reordered[x] = op("ReorderInput", op.tensor(x), domain=DOMAIN)
    blocked = op(
        "Conv",
        op.tensor(reordered[x].value),
        _weight(op.tensor(weight), plan),
        *(op.tensor(bias) for bias in node.inputs[2:] if bias is not None),
        domain=DOMAIN,
        group=plan.groups,
        kernel_shape=plan.weight[2:],
        **{name: node.attributes.get(name) for name in ("pads", "strides", "dilations")},
    )
    result = op("ReorderOutput", blocked, domain=DOMAIN, channels=plan.weight[0])
    _replace(graph, node, aside, result)


def _weight(weight: Tensor, plan: _Plan) -> Tensor:
    """Return the weights in the order the kernel reads: OIHWBiBo, or OIHWBo if depthwise."""
    out, inside, height, width = plan.weight
    b = plan.block
    if plan.groups > 1:
        turned = weight.reshape(out // b, b, height * width).transpose(0, 2, 1)
    else:
        cut = weight.reshape(out // b, b, inside // b, b, height * width)
        turned = cut.transpose(0, 2, 4, 3, 1)
    return turned.reshape(out, inside, height, width)


def _replace(graph: ir.Graph, node: ir.Node, aside: ir.Graph, result: Tensor) -> None:
    """Move nodes in front of `node`, and let their result take its name and its readers."""
    old, new = node.outputs[0], result.value
    for value in list(aside.initializers.values()):
        del aside.initializers[value.name or ""]
        graph.register_initializer(value)
    moved = list(aside)
    aside.remove(moved)
    graph.insert_before(node, moved)
    new.name, new.shape, new.type = old.name, old.shape, old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
