"""What activations are on average, told without data from the normalisations before them.

A batch normalisation gives every channel the mean β and the variance γ² (Nagel et al. 2019,
arXiv 1906.04721, section 4.2.1); taken for normally distributed, what any elementwise
function makes of it follows by running that function over a grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.calibration.expected_rules import RULES, Spread
from onnxpress.graph.constants import STANDARD, stored_constant, subgraphs

if TYPE_CHECKING:
    from onnxpress.calibration.moments import Vector
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model

ELEMENTWISE: Final = frozenset(
    {"Abs", "Add", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu"}
    | {"HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg"}
    | {"PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sub", "Swish", "Tanh"}
    | {"ThresholdedRelu"}
)
_GRID: Final = np.linspace(-8, 8, 1025)  # fine enough for the kink of a Relu: errors near 1e-5
_LIKELY: Final = np.exp(-(_GRID**2) / 2) / np.exp(-(_GRID**2) / 2).sum()


def expected_activation(model: Model, tensor: str) -> Vector | None:
    """Return the mean of every channel of a tensor, told without data.

    Args:
        model: The model.
        tensor: The name of a tensor of the main graph.

    Returns:
        One number for each position of the axis that counts channels, NaN where it can't be
        told; None if that is so everywhere.
    """
    found = Expectation(model).spread(tensor)
    return None if found is None or np.isnan(found.mean).all() else found.mean


class Expectation:
    """Walks back from tensors of one model, and remembers what it found."""

    def __init__(self, model: Model) -> None:
        from onnxpress.channels.settle import settle

        self.model, self._constants = settle(model)
        self._found: dict[ir.Value, Spread | None] = {}
        self._roots: dict[ir.Value, ir.Value] = {}
        self._values = {v.name: v for node in self.model.ir.graph for v in node.outputs}

    def spread(self, tensor: str) -> Spread | None:
        """Return what is known of a tensor, None for nothing at all."""
        value = self._values.get(tensor)
        return None if value is None else self.of(value)

    def of(self, value: ir.Value | None) -> Spread | None:
        """Return what is known of a value."""
        if value is None or value.producer() is None:
            return None
        if value not in self._found:
            root = self._root(value)
            self._found[value] = self._from_rule(value) if root is value else self._run(root, value)
        return self._found[value]

    def shape(self, value: ir.Value | None) -> tuple[int | None, ...] | None:
        """Return the shape of a value; None for axes that differ from run to run."""
        return None if value is None else self._constants.sizes(value)

    def array(self, value: ir.Value | None) -> Array | None:
        """Return the elements of a value if they are stored, or follow from fixed sizes."""
        return None if value is None else self._constants.array(value)

    def _from_rule(self, value: ir.Value) -> Spread | None:
        node = value.producer()
        rule = None if node is None or node.domain not in STANDARD else RULES.get(node.op_type)
        return None if node is None or rule is None else rule(self, node)

    def _root(self, value: ir.Value) -> ir.Value:
        """Return the tensor of which a value is an elementwise function; itself if of two."""
        if value not in self._roots:
            node, roots = value.producer(), {value}
            if node is not None and node.op_type in ELEMENTWISE and node.domain in STANDARD:
                inputs = [v for v in node.inputs if v is not None and stored_constant(v) is None]
                roots = {self._root(v) for v in inputs}
            self._roots[value] = roots.pop() if len(roots) == 1 else value
        return self._roots[value]

    def _run(self, root: ir.Value, value: ir.Value) -> Spread | None:
        """Run the elementwise functions between two tensors over a grid of likely values."""
        before, shape = self.of(root), self.shape(root)
        if before is None or shape is None or before.axis == 0:
            return None
        points = before.mean + np.sqrt(before.variance) * _GRID[:, None]
        wide = [points.shape[1] if i == before.axis else 1 for i in range(1, len(shape))]
        known = self.model.types[root.name or ""].dtype
        dtype = np.float32 if known is None else known.numpy()
        inner = _between(self.model, root.name or "", value.name or "")
        fed = np.nan_to_num(points).reshape(-1, *wide).astype(dtype)
        result = inner.run({root.name or "": fed})[value.name or ""].astype(np.float64)
        over = tuple(i for i in range(1, result.ndim) if i != before.axis)
        mean = _LIKELY @ result.mean(over)
        variance = np.maximum(_LIKELY @ (result**2).mean(over) - mean**2, 0)
        constant = before.variance == 0
        unknown = np.isnan(points).any(0)
        mean, variance = (np.where(unknown, np.nan, part) for part in (mean, variance))
        return Spread(mean, np.where(constant, 0, variance), before.axis)


def _between(model: Model, root: str, value: str) -> Model:
    """Return the part of a model from one tensor to another."""
    edit = model.edit()
    old, wanted = edit.values[root], edit.values[value]
    given = ir.Value(name=old.name, type=old.type or ir.TensorType(ir.DataType.FLOAT))
    known = model.types.get(root)
    if known is not None and known.dtype is not None:
        given.type = ir.TensorType(known.dtype)
    old.name = edit.unique(f"{root}:before")
    for user, index in list(old.uses()):
        user.replace_input_with(index, given)
    edit.graph.inputs.clear()
    edit.graph.inputs.append(given)
    edit.graph.outputs.clear()
    edit.graph.outputs.append(wanted)
    needed = _needed(wanted)
    others = [node for node in edit.graph if node not in needed]
    edit.graph.remove(others)
    for node in others:
        _detach(node)
    return edit.done()


def _detach(node: ir.Node) -> None:
    """Let a node that is gone, and the bodies in it, read nothing any more."""
    inner = (found for body in subgraphs(node) for found in body.all_nodes())
    for reader in (node, *inner):
        for index in range(len(reader.inputs)):
            reader.replace_input_with(index, None)


def _needed(value: ir.Value) -> set[ir.Node]:
    """Return the nodes that a value is computed by."""
    found: set[ir.Node] = set()
    waiting = [value.producer()]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting.extend(v.producer() for v in node.inputs if v is not None)
    return found
