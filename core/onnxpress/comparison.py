"""Comparing two models: what they compute, layer by layer, and what they are made of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from onnxpress.data.batch import Data, Feeds
from onnxpress.data.random import random_batches
from onnxpress.data.signature import Signature
from onnxpress.differences import Difference, Gatherer
from onnxpress.errors import UsageError
from onnxpress.graph.constants import FLOATS, STANDARD, is_constant
from onnxpress.graph.layers import walk
from onnxpress.graph.types import UNKNOWN, type_of
from onnxpress.session import Session

if TYPE_CHECKING:
    import onnx_ir as ir
    from rich.console import RenderableType

    from onnxpress.graph.model import Model

_RANDOM_BATCHES: Final = 4
_RANDOM_BATCH: Final = 4
_LAYER_SAMPLES: Final = 256
_LAYER_PIECE: Final = 8  # samples whose inner tensors are in memory at a time


@dataclass(frozen=True, slots=True)
class Build:
    """What one of the two models is made of."""

    name: str
    nodes: int
    parameters: int
    macs: int
    bytes_stored: int
    opset: int
    operators: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two models differ.

    Attributes:
        a: What the first is made of.
        b: What the second is made of.
        data: What they were run on; random inputs say nothing about accuracy.
        samples: How many samples that were.
        outputs: The differences of the outputs.
        layers: The differences of inner float tensors of the same name, in the order of
            the first graph.
        layer_samples: On how many samples those were measured.
    """

    a: Build
    b: Build
    data: str
    samples: int
    outputs: tuple[Difference, ...]
    layers: tuple[Difference, ...]
    layer_samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, ready for JSON; what is infinite is None."""
        return {
            "a": asdict(self.a),
            "b": asdict(self.b),
            "data": self.data,
            "samples": self.samples,
            "outputs": [_plain(difference) for difference in self.outputs],
            "layer_samples": self.layer_samples,
            "layers": [_plain(difference) for difference in self.layers],
        }

    def __rich__(self) -> RenderableType:
        from onnxpress.comparison_table import render

        return render(self)


def compare(a: Model, b: Model, data: object = None, seed: int = 0) -> Comparison:
    """Run both models on the same inputs and say how far their results are apart.

    Outputs are compared over all of the data, inner tensors over its first 256 samples.

    Args:
        a: The reference.
        b: The other model: the same inputs and outputs, by name and type.
        data: Anything `onnxpress.data.open_data` takes; without it, inputs are random.
        seed: For random inputs.

    Raises:
        UsageError: If the inputs or outputs differ; says which.
        DataError: If an array of the data can't be used.
        ModelError: If ONNX Runtime does not load or run one of them.
    """
    _check_same_interface(a, b)
    name, batches = _open(data, a, seed)
    results = {v.name or "": _producer(v) for v in a.outputs}
    outputs, samples = _differences(Session(a), Session(b), results, batches)
    layers, layer_samples = _layer_differences(a, b, batches)
    return Comparison(_build(a), _build(b), name, samples, outputs, layers, layer_samples)


def _differences(
    a: Session, b: Session, names: Mapping[str, str], batches: Iterable[Feeds]
) -> tuple[tuple[Difference, ...], int]:
    """Return the differences of the tensors `names` (to their operators), and the samples."""
    gatherers = [Gatherer(name, op_type) for name, op_type in names.items()]
    samples = 0
    for feeds in batches:
        ours, theirs = a.run(feeds, names), b.run(feeds, names)
        for gatherer in gatherers:
            gatherer.add(ours[gatherer.name], theirs[gatherer.name])
        samples += _samples(feeds)
    return tuple(gatherer.result() for gatherer in gatherers), samples


def _layer_differences(
    a: Model, b: Model, batches: Iterable[Feeds]
) -> tuple[tuple[Difference, ...], int]:
    inner = _inner_tensors(a, b)
    if not inner:
        return (), 0
    ours, theirs = (Session(model, outputs=list(inner)) for model in (a, b))
    return _differences(ours, theirs, inner, _pieces(batches, a))


def _pieces(batches: Iterable[Feeds], model: Model) -> Iterator[Feeds]:
    """Cut batches into pieces of a few samples, and stop when there were enough."""
    signature = Signature.of(model)
    can_cut = signature.batched and signature.fixed is None
    left = _LAYER_SAMPLES
    for feeds in batches:
        step = _LAYER_PIECE if can_cut else max(1, _samples(feeds))
        for start in range(0, _samples(feeds), step):
            if left <= 0:
                return
            stop = start + min(step, left) if can_cut else start + step
            yield {n: array[start:stop] for n, array in feeds.items()} if can_cut else feeds
            left -= step


def _samples(feeds: Feeds) -> int:
    first = next(iter(feeds.values()), None)
    return int(first.shape[0]) if first is not None and first.ndim else 1


# What goes in.


@dataclass(frozen=True)
class _Feeds:
    """The feeds of data, as often as they are asked for."""

    data: Data

    def __iter__(self) -> Iterator[Feeds]:
        return (batch.feeds for batch in self.data)


def _open(data: object, model: Model, seed: int) -> tuple[str, Iterable[Feeds]]:
    if data is None:
        batches = random_batches(model, _RANDOM_BATCHES, _RANDOM_BATCH, seed)
        return f"random inputs (seed {seed})", batches
    from onnxpress.data import open_data

    opened = open_data(data, model)
    return opened.name, _Feeds(opened)


# What is compared.


def _check_same_interface(a: Model, b: Model) -> None:
    for what, ours, theirs in (("input", a.inputs, b.inputs), ("output", a.outputs, b.outputs)):
        first, second = ({v.name: v for v in values} for values in (ours, theirs))
        for name in first.keys() ^ second.keys():
            only = "first" if name in first else "second"
            raise UsageError(
                f"the models can't be compared: only the {only} has an {what} {name!r} "
                f"(first: {', '.join(map(str, first))}; second: {', '.join(map(str, second))})"
            )
        for name in first:
            _check_same_type(what, first[name], second[name])


def _check_same_type(what: str, a: ir.Value, b: ir.Value) -> None:
    ours, theirs = type_of(a), type_of(b)
    shapes = ours.shape, theirs.shape
    ranks = {len(shape) for shape in shapes if shape is not None}
    sizes = zip(*(shape for shape in shapes if shape is not None), strict=False)
    fixed = all(len({d for d in dims if isinstance(d, int)}) < 2 for dims in sizes)  # noqa: PLR2004
    if ours.dtype != theirs.dtype or len(ranks) > 1 or not fixed:
        raise UsageError(
            f"the models can't be compared: {what} {a.name!r} is {_words(a)} in the first "
            f"and {_words(b)} in the second"
        )


def _words(value: ir.Value) -> str:
    known = type_of(value)
    dims = "of any shape" if known.shape is None else f"[{', '.join(str(d) for d in known.shape)}]"
    return f"{'no tensor' if known.dtype is None else known.dtype.name.lower()} {dims}"


def _inner_tensors(a: Model, b: Model) -> dict[str, str]:
    """Return the float tensors that both main graphs compute under one name, and a's operators."""
    outputs = {v.name for v in a.outputs}
    other = {v.name for v in _computed(b)}
    return {
        value.name or "": _producer(value)
        for value in _computed(a)
        if value.name in other and value.name not in outputs
    }


def _computed(model: Model) -> Iterator[ir.Value]:
    for node in model.ir.graph:
        for value in node.outputs:
            known = model.types.get(value.name or "", UNKNOWN)
            if known.dtype in FLOATS and not is_constant(value):
                yield value


def _producer(value: ir.Value) -> str:
    node = value.producer()
    return "" if node is None else node.op_type


def _build(model: Model) -> Build:
    cost = model.cost()
    operators = Counter(
        n.op_type if n.domain in STANDARD else f"{n.domain}::{n.op_type}"
        for n, _, _ in walk(model.ir)
    )
    return Build(
        name=str(model.path or "model"),
        nodes=operators.total(),
        parameters=cost.parameters,
        macs=cost.macs,
        bytes_stored=cost.bytes_stored,
        opset=model.opset,
        operators=dict(sorted(operators.items())),
    )


def _plain(difference: Difference) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(difference).items()
    }
