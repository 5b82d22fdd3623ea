"""How ``onnxpress compare`` shows two models in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from onnxpress.comparison import Comparison
    from onnxpress.differences import Difference

_MOVES: Final = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split"}
    | {"Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that only move numbers; their rows would repeat others."""


def render(comparison: Comparison) -> RenderableType:
    """Return what the models are made of, then the differences of outputs and layers."""
    parts: list[RenderableType] = [_build(comparison), ""]
    parts.append(f"Outputs on {comparison.samples} samples of {escape(comparison.data)}")
    parts.append(_outputs(comparison.outputs))
    if comparison.layers:
        parts += ["", f"Inner tensors on {comparison.layer_samples} samples"]
        parts.append(_inner(comparison.layers))
    else:
        parts += ["", "No inner tensor has the same name in both."]
    return Group(*parts)


def _build(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    a, b = comparison.a, comparison.b
    for build in (a, b):
        table.add_column(escape(build.name), justify="right", overflow="fold")
    for label, key in (
        ("nodes", "nodes"),
        ("parameters", "parameters"),
        ("MACs", "macs"),
        ("bytes stored", "bytes_stored"),
        ("opset", "opset"),
    ):
        table.add_row(label, f"{getattr(a, key):,}", f"{getattr(b, key):,}")
    for operator in sorted(a.operators.keys() | b.operators.keys()):
        ours, theirs = a.operators.get(operator, 0), b.operators.get(operator, 0)
        if ours != theirs:
            table.add_row(escape(operator), str(ours), str(theirs))
    return table


def _outputs(differences: Sequence[Difference]) -> Table:
    table = _table("output")
    table.add_column("same top-1", justify="right", no_wrap=True)
    for difference in differences:
        top1 = difference.top1_agreement
        table.add_row(*_row(difference), "" if top1 is None else f"{top1:.2%}")
    return table


def _inner(differences: Sequence[Difference]) -> Table:
    table = _table("tensor")
    for difference in differences:
        if difference.op_type not in _MOVES:
            table.add_row(*_row(difference))
    return table


def _table(label: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(label, overflow="fold")
    for column in ("max |b-a|", "relative L2", "cosine", "SQNR dB"):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _row(difference: Difference) -> tuple[str, ...]:
    return (
        escape(difference.name),
        f"{difference.max_abs:.3g}",
        _number(difference.relative_l2, ".3g"),
        _number(difference.cosine, ".6f"),
        "equal" if difference.sqnr_db is None else f"{difference.sqnr_db:.1f}",
    )


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)
