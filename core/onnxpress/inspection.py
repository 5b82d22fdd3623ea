"""What is in a model: layers, parameters, multiply-accumulates, zeros, precision, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from onnxpress.graph.constants import is_onnx, type_name
from onnxpress.graph.layers import Layer, walk
from onnxpress.graph.size import files
from onnxpress.graph.types import type_of
from onnxpress.graph.weights import MULTIPLIED, Weight
from onnxpress.graph.zeros import count_zeros
from onnxpress.packing.marks import packed_names

if TYPE_CHECKING:
    import onnx_ir as ir
    from rich.console import RenderableType

    from onnxpress.graph.cost import Cost
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """One layer.

    Attributes:
        name: Its name.
        op_type: Its operator.
        parameters: The elements it stores, biases included.
        macs: Its multiply-accumulates per inference; None if they are not known.
        sparsity: The share of zeros in its weight (and recurrence matrix).
        weight_shape: The stored shape of its main weight.
        precision: The type that limits the main weight's values.
        weight: The name of its main weight; layers that share it name the same.
        groups: Into how many groups channels are divided.
    """

    name: str
    op_type: str
    parameters: int
    macs: int | None
    sparsity: float
    weight_shape: tuple[int, ...]
    precision: str
    weight: str
    groups: int


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One input or output; a dimension is a number, a symbol, or None for any."""

    name: str
    dtype: str | None
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in a model.

    Attributes:
        cost: Parameters, multiply-accumulates and bytes.
        sparsity: The share of zeros in the weights that are multiplied (no biases, no
            normalisations); 0 if there are none.
        precision: The share of those weights by precision, the commonest first.
        opset: The version of ``ai.onnx``.
        source: What the model was before onnxpress read it: opset, IR version, producer.
        history: The steps applied to it, oldest first.
        layers: Its layers, in graph order.
        inputs: What a caller feeds.
        outputs: What a caller gets.
        overridable: Stored tensors that are inputs as well, so that a caller may replace
            them; they are no layers' weights unless a step is told to freeze them.
        operators: How often each operator occurs, the commonest first.
        custom_domains: Operator domains other than those of ONNX itself.
        files: The files it was loaded from.
        packed: The stored tensors that its file holds in a packed form, where that is smaller.
    """

    cost: Cost
    sparsity: float
    precision: Mapping[str, float]
    opset: int
    source: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    layers: tuple[LayerFacts, ...]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    overridable: tuple[str, ...]
    operators: Mapping[str, int]
    custom_domains: tuple[str, ...]
    files: tuple[str, ...]
    packed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, under the keys of ``inspect --json``."""
        return {
            "parameters": self.cost.parameters,
            "weights": self.cost.weights,
            "macs": self.cost.macs,
            "bytes_stored": self.cost.bytes_stored,
            "bytes_in_memory": self.cost.bytes_in_memory,
            "sparsity": self.sparsity,
            "precision": dict(self.precision),
            "opset": self.opset,
            "source": dict(self.source),
            "inputs": [_plain(tensor) for tensor in self.inputs],
            "outputs": [_plain(tensor) for tensor in self.outputs],
            "overridable": list(self.overridable),
            "assumed_dims": dict.fromkeys(self.cost.assumed, 1),
            "unknown_macs": dict(self.cost.unknown),
            "operators": dict(self.operators),
            "custom_domains": list(self.custom_domains),
            "files": list(self.files),
            "packed": list(self.packed),
            "layers": [_plain(layer) for layer in self.layers],
            "history": [dict(step) for step in self.history],
        }

    def __rich__(self) -> RenderableType:
        from onnxpress.inspection_table import render

        return render(self)


def inspect(
    model: Model, dims: Mapping[str, int] | None = None, rules: tuple[Rule, ...] = ()
) -> Inspection:
    """Look at a model without running it; at most one layer's weights are in memory at a time.

    Args:
        model: The model.
        dims: Sizes of symbolic input dimensions; those not named count as 1.
        rules: Rules of plugins for the table ``cost``.

    Raises:
        UnknownNameError: If `dims` names a dimension that no input has.
        OptionError: If a size is less than 1.
    """
    cost = model.cost(dims, rules)
    zeros = _zeros_of(model.layers)
    nodes = [node for node, _, _ in walk(model.ir)]
    return Inspection(
        cost=cost,
        sparsity=_share(zeros, [w for layer in model.layers for w in _multiplied(layer)]),
        precision=_precisions(model.layers),
        opset=model.opset,
        source=model.provenance.source,
        history=model.provenance.history,
        layers=tuple(_layer_facts(layer, cost, zeros) for layer in model.layers),
        inputs=tuple(map(_tensor_facts, model.inputs)),
        outputs=tuple(map(_tensor_facts, model.outputs)),
        overridable=tuple(v.name or "" for v in model.ir.graph.inputs if v.is_initializer()),
        operators=_operators(nodes),
        custom_domains=tuple(sorted({n.domain for n in nodes if not is_onnx(n.domain)})),
        files=tuple(map(str, files(model))),
        packed=tuple(packed_names(model.ir)),
    )


def _multiplied(layer: Layer) -> tuple[Weight, ...]:
    return tuple(weight for weight in layer.weights if weight.role in MULTIPLIED)


def _zeros_of(layers: Sequence[Layer]) -> dict[ir.Value, int]:
    """Count the zeros of every main weight and every multiplied one, shared ones once."""
    zeros: dict[ir.Value, int] = {}
    for layer in layers:
        for weight in {layer.weight, *_multiplied(layer)}:
            if weight.value not in zeros:
                zeros[weight.value] = count_zeros(weight)
    return zeros


def _share(zeros: Mapping[ir.Value, int], weights: Sequence[Weight]) -> float:
    """Return the share of zeros in all elements of `weights`; a tensor counts once."""
    sizes = {weight.value: weight.size for weight in weights}
    return sum(zeros[value] for value in sizes) / max(1, sum(sizes.values()))


def _precisions(layers: Sequence[Layer]) -> dict[str, float]:
    weights = {w.value: w for layer in layers for w in _multiplied(layer)}
    sizes: Counter[str] = Counter()
    for weight in weights.values():
        sizes[weight.precision] += weight.size
    total = max(1, sizes.total())
    return {precision: size / total for precision, size in sizes.most_common()}


def _operators(nodes: Sequence[ir.Node]) -> dict[str, int]:
    counts = Counter(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in nodes)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _layer_facts(layer: Layer, cost: Cost, zeros: Mapping[ir.Value, int]) -> LayerFacts:
    return LayerFacts(
        name=layer.name,
        op_type=layer.op_type,
        parameters=layer.parameters,
        macs=None if layer.name in cost.unknown else cost.layers.get(layer.name, 0),
        sparsity=_share(zeros, _multiplied(layer) or (layer.weight,)),
        weight_shape=layer.weight.shape,
        precision=layer.precision,
        weight=layer.weight.name,
        groups=layer.groups,
    )


def _tensor_facts(value: ir.Value) -> TensorFacts:
    known = type_of(value)
    dtype = None if known.dtype is None else type_name(known.dtype)
    return TensorFacts(value.name or "", dtype, known.shape)


def _plain(record: LayerFacts | TensorFacts) -> dict[str, Any]:
    """Return a record as JSON holds it: tuples as lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(record).items()
    }
