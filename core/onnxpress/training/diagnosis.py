"""Where a loss went wrong: the first tensor of a step that is not finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.errors import ModelError
from onnxpress.session import Session

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

_AT_ONCE: Final = 32  # tensors; all of them together may not fit into memory


def first_not_finite(model: Model, feeds: Feeds, result: str) -> str:
    """Say where a result that is NaN or infinite came from, in words for a user.

    That is the first tensor, in the order of the graph, that is not finite although all that
    it is computed from is, and from which the result follows through tensors that are not
    finite either.  Infinity that does no harm, as in an attention mask, is passed over.

    Args:
        model: The step.
        feeds: Everything that was fed, slots included.
        result: The name of the output that is not finite.
    """
    given = not_finite_among(feeds)
    if given is not None:
        return f"{given}; the step was given that"
    bad = {name: text for name, array in _computed(model, feeds) if (text := _described(array))}
    guilty = _sources(model.ir.graph, bad, result)
    for node in model.ir.graph:
        for value in node.outputs:
            if value in guilty:
                return f"{value.name!r}, computed by {_called(node)}: it {bad[value.name or '']}"
    return "no single tensor: it is not finite only as ONNX Runtime fuses operators"


def not_finite_among(arrays: Feeds) -> str | None:
    """Return the first array that is not finite, with what is wrong; None if all are."""
    for name, array in arrays.items():
        if text := _described(array):
            return f"{name!r}: it {text}"
    return None


def _sources(graph: ir.Graph, bad: Mapping[str, str], result: str) -> set[ir.Value]:
    """Return the tensors that a bad result begins with: bad, and made of good ones."""
    waiting = [value for value in graph.outputs if value.name == result and value.name in bad]
    seen, found = set(waiting), set()
    while waiting:
        value = waiting.pop()
        node = value.producer()
        read = [] if node is None else [v for v in node.inputs if v is not None and v.name in bad]
        if not read:
            found.add(value)
        waiting += [v for v in read if v not in seen]
        seen.update(read)
    return found


def _called(node: ir.Node) -> str:
    return f"{node.op_type} {node.name!r}" if node.name else f"a {node.op_type}"


def _computed(model: Model, feeds: Feeds) -> Iterator[tuple[str, Array]]:
    """Compute the floats of a graph in its order, some at a time."""
    found = [
        value.name
        for node in model.ir.graph
        for value in node.outputs
        if value.name and (value.dtype is None or value.dtype.is_floating_point())
    ]
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        try:
            session = Session(model, outputs=part, optimize=False)
            results = session.run(feeds, part)
        except ModelError:
            continue
        yield from results.items()


def _described(array: Array) -> str:
    """Say what is wrong with an array, and where; nothing if it is finite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return ""
    bad = ~np.isfinite(array)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    where = f" at {list(at)} ({int(bad.sum())} of {array.size} elements)" if array.ndim else ""
    return f"is {array[at]}{where}"
