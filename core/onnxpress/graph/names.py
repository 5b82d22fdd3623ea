"""The names of a graph: which there are, and one that nothing has yet."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir


def values_in(model: ir.Model) -> Iterator[ir.Value]:
    """Visit every value of a model, those of bodies too: inputs, stored tensors, results."""
    for graph in model.graphs():
        yield from graph.inputs
        yield from graph.initializers.values()
        for node in graph:
            yield from node.outputs


def values_by_name(model: ir.Model) -> dict[str, ir.Value]:
    """Return every value of a model by its name, those of bodies too."""
    return {value.name or "": value for value in values_in(model)}


def take_name(wished: str, taken: set[str]) -> str:
    """Return `wished`, or `wished` with a number, that is not taken yet; it is from then on."""
    name, number = wished, 0
    while name in taken:
        number += 1
        name = f"{wished}_{number}"
    taken.add(name)
    return name
