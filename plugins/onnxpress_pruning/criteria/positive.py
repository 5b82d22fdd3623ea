"""A model all of whose weights are positive, and what flows through each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff import GRADIENTS, gradient, gradient_name
from onnxpress.autodiff.activity import depends, leads, read_by
from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.prepare import prepare
from onnxpress.data.random import runnable_feeds
from onnxpress.errors import ModelError
from onnxpress.graph.constants import FLOATS, constant_tensor
from onnxpress.graph.layers import find_layers
from onnxpress.graph.names import values_by_name
from onnxpress.session import Session
from onnxpress.training.goal import Goal
from onnxpress.training.lift import collect_constants, lift_parameters
from onnxpress.training.loss import drop_unused

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule

_FLOW: Final = "flow"
_ENDS: Final = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
_SHIFTS: Final = frozenset({"bias", "mean"})  # roles
_MOST_RUNS: Final = 64  # to find all factors; each run sees as far as float32 reaches
_LOW, _HIGH = 1e-6, 1e6


class PositiveFlow:
    """The sum R of a model's outputs for ones, with every weight taken by its magnitude.

    Biases and running means are zero, and ``Clip`` from 0 upwards has no upper end, so that a
    net of such layers with ReLU is linear in the flow.  Softmax and Sigmoid at the end
    are left out.

    R may exceed float32 by far.  So wherever all of the flow passes through one tensor, that is
    multiplied by a factor that keeps it near 1, which multiplies the scores of all weights alike.

    Args:
        model: The model.
        names: The stored tensors whose scores are wanted.
        rules: Rules of plugins for the table ``gradient``.

    Attributes:
        unreached: Those of `names` on which R does not depend; they score zero.
    """

    def __init__(self, model: Model, names: Sequence[str], rules: Sequence[Rule] = ()) -> None:
        edit = model.edit()
        graph = edit.graph
        walk = Walk(GRADIENTS + rules, edit.ir.opset_imports)
        collect_constants(edit.ir)
        prepare(edit.ir, walk, [v.name or "" for node in graph for v in node.outputs], names)
        _make_positive(edit.ir)
        lifted = lift_parameters(graph, names)
        self._feeds = _ones(model)
        _sum_outputs(edit.ir)
        reached = leads(list(graph), graph.outputs, walk.moves)
        self.unreached = [name for name in names if lifted[name] not in reached]
        self._names = [name for name in names if lifted[name] in reached]
        sources = [v for v in graph.inputs if v.name in self._feeds and v.name not in lifted]
        cuts = list(_cuts(list(graph), sources, graph.outputs, walk, {*lifted.values()}))
        self._peaks = dict(_divided(edit.ir, cut) for cut in cuts)
        self._scales: dict[str, Array] = dict.fromkeys(self._peaks, np.array(1, np.float32))
        drop_unused(edit.ir, lifted)
        self._of = {gradient_name(name): name for name in self._names}
        self._session = Session(gradient(edit.done(), _FLOW, self._names, rules=rules))

    def scores(self, magnitudes: Mapping[str, Array]) -> dict[str, Array]:
        """Return ``θ·∂R/∂θ`` for every tensor, times one unknown factor for all of them.

        Args:
            magnitudes: The magnitudes of the weights, zero where they are pruned.

        Raises:
            ModelError: If the flow exceeds float32 between two such factors.
        """
        weights = {name: np.asarray(magnitudes[name], np.float32) for name in self._names}
        results = self._settled(weights)
        return {name: np.abs(weights[name] * results[found]) for found, name in self._of.items()}

    def _settled(self, weights: Feeds) -> Feeds:
        """Run, with other factors until the flow is near 1 wherever it is multiplied by one."""
        given = {**self._feeds, **weights}
        for _ in range(_MOST_RUNS):
            results = self._session.run({**given, **self._scales})
            if not self._rescale(results) and np.isfinite(results[_FLOW]):
                return results
        raise ModelError(
            "the magnitudes of the weights multiply to more than float32 can hold within one part "
            "of the model, around which other paths lead; choose another criterion than synflow"
        )

    def _rescale(self, results: Feeds) -> bool:
        """Let the peak at every factor be 1 the next time; say whether any was far from it.

        What comes behind the first overflow is not known yet, and stays.
        """
        before, far = 1.0, False
        scales = dict(self._scales)
        for name, output in self._peaks.items():
            peak = float(results[output])
            far |= not _LOW < peak < _HIGH and peak != 0
            if peak == 0 or not np.isfinite(peak):
                break
            scales[name] = np.array(scales[name] * (before / peak), np.float32)
            before = peak
        if far:
            self._scales = scales
        return far


def _make_positive(model: ir.Model) -> None:
    """Take weights by their magnitude, nothing for what shifts, and no upper end for Clip."""
    for layer in find_layers(model):
        for weight in layer.tensors:
            if weight.dtype in FLOATS and weight.value.is_initializer():
                array = np.abs(weight.array())
                array = array * 0 if weight.role in _SHIFTS else array
                weight.value.const_value = ir.Tensor(array.astype(weight.array().dtype))
    for node in model.graph:
        if node.op_type == "Clip" and len(node.inputs) > 2 and _starts_at_zero(node):  # noqa: PLR2004
            node.replace_input_with(2, None)


def _starts_at_zero(node: ir.Node) -> bool:
    low = None if node.inputs[1] is None else constant_tensor(node.inputs[1])
    return low is not None and bool((low.numpy() == 0).all())


def _ones(model: Model) -> dict[str, Array]:
    """Return ones for every input of floats, and what makes sense for the others."""
    feeds = runnable_feeds(model)
    return {n: np.ones_like(a) if a.dtype.kind == "f" else a for n, a in feeds.items()}


def _sum_outputs(model: ir.Model) -> None:
    """Make the sum of all outputs of floats the only output, without what ends them."""
    graph = model.graph
    values = values_by_name(model)
    op = Builder(graph, set(values), prefix="f")
    goal = Goal(op, {v.name or "": v for v in graph.outputs}, values, {}, ())
    floats = [v for v in graph.outputs if v.dtype is None or v.dtype.is_floating_point()]
    scores = [goal.logits(value.name, _ENDS) for value in floats]
    if not scores:
        raise ModelError("the model has no output of floats, so nothing flows through its weights")
    total = op.add([s.cast(ir.DataType.FLOAT).sum(keepdims=False) for s in scores])
    graph.outputs[:] = [_named(op, total, _FLOW)]


def _named(op: Builder, tensor: Tensor, name: str) -> ir.Value:
    """Return a scalar under a name of its own."""
    node = ir.Node("", "Identity", [tensor.value], num_outputs=1, name=op.name(name))
    output = node.outputs[0]
    output.name, output.shape = node.name, ir.Shape([])
    output.type = ir.TensorType(ir.DataType.FLOAT)
    op.graph.append(node)
    return output


def _cuts(
    nodes: Sequence[ir.Node],
    sources: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    walk: Walk,
    weights: Collection[ir.Value],
) -> Iterator[ir.Value]:
    """Yield the tensors through which, one after the other, all flow passes.

    Of those between which no weight is read, only the first.
    """
    active = depends(nodes, sources, walk.moves) & leads(nodes, outputs, walk.moves)
    made = depends(nodes, weights, walk.moves) - active  # weights, and what is made of them alone
    passed = [n for n in nodes if any(v in active for v in n.outputs)]
    readers = Counter(v for node in passed for v in {*read_by(node)} if v in active)
    live = {value for value in sources if value in active}
    weighted = False
    for node in passed:
        read = {*read_by(node)}
        weighted |= not made.isdisjoint(read)
        for value in read & live:
            readers[value] -= 1
        live = {v for v in live | (active & {*node.outputs}) if readers[v]}
        if weighted and len(live) == 1 and node.op_type != "Constant":
            weighted = False
            yield next(iter(live))


def _divided(model: ir.Model, value: ir.Value) -> tuple[str, str]:
    """Multiply a tensor by a factor; return the input that takes it, and the output of the peak."""
    op = Builder(model.graph, set(values_by_name(model)), prefix="f")
    factor = ir.Value(name=op.name(f"factor of {value.name}"), shape=ir.Shape([]))
    factor.type = ir.TensorType(ir.DataType.FLOAT)
    model.graph.inputs.append(factor)
    readers, producer = list(value.uses()), value.producer()
    assert producer is not None  # a cut lies behind a node that reads a weight
    # CastLike: half-precision flow takes a factor of its own type.
    cast = ir.Node("", "CastLike", [factor, value], num_outputs=1, name=op.name("f.factor"))
    cast.outputs[0].name, cast.outputs[0].type = cast.name, value.type
    cast.outputs[0].shape = ir.Shape([])
    node = ir.Node("", "Mul", [value, cast.outputs[0]], num_outputs=1, name=op.name("f.product"))
    product = node.outputs[0]
    product.name, product.type, product.shape = node.name, value.type, value.shape
    model.graph.insert_after(producer, [cast, node])
    for reader, index in readers:
        reader.replace_input_with(index, product)
    peak = op("ReduceMax", op("Abs", op.tensor(product)), keepdims=0).cast(ir.DataType.FLOAT)
    output = _named(op, peak, f"peak of {value.name}")
    model.graph.outputs.append(output)
    return factor.name or "", output.name or ""
