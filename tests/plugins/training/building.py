"""A model with an objective behind it, run in ONNX Runtime, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.prepare import annotate
from onnxpress.contract import Objective
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.graph.types import type_of
from onnxpress.training.goal import LABELS, Goal, LabelGoal
from tests.graphs import graph

LOSS = "the loss"


def scores(*dims: int | str, kind: str = "float") -> Model:
    """Make a model whose output ``y`` is its input ``x``, so that gradients are easy to see."""
    shape = ",".join(map(str, dims))
    return graph(f"g ({kind}[{shape}] x) => ({kind}[{shape}] y) {{ y = Identity(x) }}")


def with_loss(
    model: Model, objective: Objective, labels: Array | None = None, *, rank_only: bool = True
) -> Model:
    """Return the model with one more input, the labels, and one more output, the loss."""
    edit = model.edit()
    annotate(edit.ir)
    op = Builder(edit.graph, set(edit.values), prefix="loss")
    given = None if labels is None else _input(edit.graph, labels, rank_only=rank_only)
    goal = Goal(
        op=op,
        outputs={v.name or "": v for v in edit.graph.outputs},
        values=dict(edit.values),
        parameters={name: op.tensor(edit.values[name]) for name in model.parameters},
        layers=edit.layers,
        labels=None if given is None else op.tensor(given),
    )
    loss = objective.build(goal)
    assert loss.rank == 0
    named = op("Identity", loss)
    named.value.name = LOSS
    edit.graph.outputs.append(op.typed(named.value, loss.dtype, ()).value)
    return edit.done()


def _input(graph: ir.Graph, labels: Array, *, rank_only: bool) -> ir.Value:
    shape = [None] * labels.ndim if rank_only else labels.shape
    kind = ir.TensorType(ir.DataType.from_numpy(labels.dtype))
    value = ir.Value(name=LABELS, shape=ir.Shape(shape), type=kind)
    graph.inputs.append(value)
    return value


def label_goal(model: Model, labels: Array) -> LabelGoal:
    output = model.outputs[0]
    return LabelGoal(output.name or "", type_of(output).shape, labels.dtype.kind == "f")


def loss_and_slope(
    model: Model, objective: Objective, x: Array, labels: Array
) -> tuple[float, Array]:
    """Return the loss and its gradient with respect to the input ``x``."""
    read = objective.read_labels(labels, label_goal(model, labels), "batch 0")
    made = with_loss(model, objective, read)
    made.check()
    back = gradient(made, LOSS, "x")
    found = back.run({"x": x, LABELS: read})
    return float(found[LOSS]), found[gradient_name("x")]


def agree(
    model: Model,
    objective: Objective,
    x: Array,
    labels: Array,
    wanted: Any,
    tolerance: float = 1e-5,
) -> None:
    """Compare loss and gradient with those of a function of PyTorch in float64."""
    loss, slope = loss_and_slope(model, objective, x, labels)
    tensor = torch.tensor(x.astype(np.float64), requires_grad=True)
    result = wanted(tensor)
    result.backward()
    assert tensor.grad is not None
    np.testing.assert_allclose(loss, result.item(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=tolerance * 10, atol=tolerance)
