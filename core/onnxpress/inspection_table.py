"""How ``onnxpress inspect`` shows a model in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from onnxpress.inspection import Inspection, LayerFacts, TensorFacts

_OPERATORS_SHOWN: Final = 8
_LONGEST: Final = 60  # characters of a layer's name; JSON has all of them


def render(inspection: Inspection) -> RenderableType:
    """Return a summary and, if there are layers, a table of them."""
    summary = Table.grid(padding=(0, 2))
    for label, text in _summary(inspection):
        summary.add_row(f"[dim]{label}[/]", escape(text))
    return Group(summary, "", _layers(inspection)) if inspection.layers else summary


def _summary(inspection: Inspection) -> Iterator[tuple[str, str]]:
    cost = inspection.cost
    if inspection.files:
        yield "model", ", ".join(inspection.files)
    yield "inputs", "; ".join(map(_tensor, inspection.inputs))
    yield "outputs", "; ".join(map(_tensor, inspection.outputs))
    if inspection.overridable:
        yield "overridable", _overridable(len(inspection.overridable))
    yield "parameters", f"{cost.parameters:,} ({cost.weights:,} of them weights)"
    yield "MACs", _macs(inspection)
    yield "stored", f"{cost.bytes_stored:,} bytes, {cost.bytes_in_memory:,} of them tensors"
    if inspection.packed:
        yield "packed", f"{len(inspection.packed)} tensors, plain in memory"
    yield "zeros", f"{inspection.sparsity:.1%} of the weights"
    yield (
        "precision",
        ", ".join(f"{name} {share:.1%}" for name, share in inspection.precision.items()),
    )
    yield "opset", f"{inspection.opset}{_origin(inspection)}"
    yield "operators", _operators(inspection)
    if inspection.history:
        yield "history", ", ".join(str(step.get("name", step)) for step in inspection.history)


def _tensor(tensor: TensorFacts) -> str:
    shape = "any shape" if tensor.shape is None else " × ".join(str(d or "?") for d in tensor.shape)
    return f"{tensor.name}: {tensor.dtype or 'no tensor'} {shape or 'scalar'}"


def _overridable(count: int) -> str:
    return (
        f"{count} stored tensors are inputs as well, which callers may replace; "
        "prune and quantize take them as constants if told to --freeze"
    )


def _macs(inspection: Inspection) -> str:
    cost = inspection.cost
    text = f"{cost.macs:,} per inference"
    if cost.assumed:
        text += f" with {' = '.join(cost.assumed)} = 1"
    if cost.unknown:
        first, *others = cost.unknown
        text += f", not counting {first}" + (f" and {len(others)} other nodes" if others else "")
    return text


def _origin(inspection: Inspection) -> str:
    source = inspection.source
    opset, producer = source.get("opset"), source.get("producer")
    parts = [f"opset {opset}"] if opset not in {None, inspection.opset} else []
    parts += [f"by {producer}"] if producer else []
    return f" (made {' '.join(parts)})" if parts else ""


def _operators(inspection: Inspection) -> str:
    names = [f"{name} {count}" for name, count in inspection.operators.items()]
    rest = len(names) - _OPERATORS_SHOWN
    return ", ".join(names[:_OPERATORS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _layers(inspection: Inspection) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for label in ("layer", "operator", "weight"):
        table.add_column(label, overflow="fold" if label == "layer" else "ellipsis")
    for label in ("parameters", "MACs", "zeros"):
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    for layer in inspection.layers:
        table.add_row(*map(escape, _row(layer)))
    return table


def _row(layer: LayerFacts) -> tuple[str, ...]:
    shape = "×".join(map(str, layer.weight_shape))
    macs = "?" if layer.macs is None else f"{layer.macs:,}"
    zeros = f"{layer.sparsity:.1%}"
    parameters = f"{layer.parameters:,}"
    name = _shortened(layer.name)
    return name, layer.op_type, shape, parameters, macs, zeros, layer.precision


def _shortened(name: str) -> str:
    """Leave out the middle of names that would fill several lines."""
    if len(name) <= _LONGEST:
        return name
    half = _LONGEST // 2
    return f"{name[:half]}…{name[-half:]}"
