"""Tensors of a model one after the other, without computing again what came before.

Pruning layer by layer needs what each layer is fed after all layers before it have changed.
What flows from the part of the graph that is done into the rest is kept for every batch, as
long as it fits a budget, and the next tensors are computed from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.errors import DataError
from onnxpress.graph.constants import subgraphs

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Data
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

Tensors: TypeAlias = "Mapping[str, Array]"

BUDGET: Final = 512 << 20
"""Bytes of tensors that are kept between two calls of `Flow.arrays`."""


class Flow:
    """A model's tensors while its weights change from the first layer to the last.

    Args:
        data: What to feed.
        job: Told of progress.
        budget: As `BUDGET`; what does not fit is computed again from what was kept before.
    """

    def __init__(self, data: Data, job: Job, budget: int = BUDGET) -> None:
        self._data, self._job, self._budget = data, job, budget
        self._held: list[dict[str, Array]] | None = None  # by batch; None is the data itself

    def arrays(self, model: Model, name: str) -> Iterator[Array]:
        """Give a tensor that a layer reads, batch by batch.

        Args:
            model: The model as it is now: like that of the call before, but for the weights
                of layers whose inputs were asked for.
            name: A tensor of the main graph; asked for in the order of the layers.

        Raises:
            DataError: If it holds NaN or infinite values, or there are no batches.
        """
        index = -1
        for index, array in enumerate(self._computed(model, name)):
            _check_finite(name, array, index)
            yield array
        if index < 0:
            raise DataError(f"there is nothing to calibrate on: {self._data.name} holds no samples")

    def _computed(self, model: Model, name: str) -> Iterator[Array]:
        known = None if self._held is None else next(iter(self._held), {})
        if name in (_inputs(model) if known is None else known):
            yield from (batch[name] for batch in self._batches())
            return
        border = _border(model.ir.graph, name)
        compute = _open(model, known, list(dict.fromkeys((name, *border))))
        kept: list[dict[str, Array]] = []
        spent = 0.0
        for batch in self._batches():
            found = compute(batch)
            if spent <= self._budget:
                kept.append({value: found[value] for value in border})
                spent += sum(map(_bytes, kept[-1].values()))
            yield found[name]
        if spent <= self._budget:
            self._held = kept

    def _batches(self) -> Iterator[Tensors]:
        held: Iterable[Tensors] = self._held or []
        if self._held is None:
            held = (batch.feeds for batch in self._data)
        yield from self._job.track(held, "calibrating")


def _check_finite(name: str, array: Array, index: int) -> None:
    if not np.isfinite(array).all():
        raise DataError(
            f"the tensor {name!r} holds NaN or infinite values in batch {index + 1} of the "
            "calibration data; leave that batch out, or the layers that read it (exclude=…)"
        )


def _inputs(model: Model) -> set[str]:
    return {value.name or "" for value in model.inputs}


def _bytes(array: object) -> float:
    """Count the bytes of what can be fed again; strings and sequences can't be kept."""
    kept = isinstance(array, np.ndarray) and array.dtype.kind in "biufc"
    return array.nbytes if kept else math.inf  # type: ignore[attr-defined]


def _open(
    model: Model, known: Tensors | None, wanted: Sequence[str]
) -> Callable[[Tensors], dict[str, Array]]:
    """Return what computes tensors of a model from known ones, or from its inputs."""
    from onnxpress.session import Session

    given = _inputs(model) if known is None else {*known}
    computed = [name for name in wanted if name not in given]
    part = _cut_out(model, known, computed)
    session, reads = Session(part), [value.name or "" for value in part.inputs]

    def run(batch: Tensors) -> dict[str, Array]:
        found = session.run({name: batch[name] for name in reads})
        return found | {name: batch[name] for name in wanted if name in given}

    return run


def _cut_out(model: Model, known: Tensors | None, wanted: Sequence[str]) -> Model:
    """Return the part of a model that computes `wanted` from `known` (None: from its inputs)."""
    edit = model.edit()
    graph = edit.graph
    for name, array in (known or {}).items():
        old = edit.values[name]
        if not old.is_graph_input():
            kind = ir.TensorType(ir.DataType.from_numpy(array.dtype))
            old.name = edit.unique(f"{name} of before")
            graph.inputs.append(ir.Value(name=name, type=kind))
            ir.convenience.replace_all_uses_with(old, graph.inputs[-1])
    graph.outputs.clear()
    graph.outputs.extend(edit.values[name] for name in wanted)
    part = edit.done()
    for value in list(part.ir.graph.inputs):
        if not value.uses() and not value.is_initializer():
            part.ir.graph.inputs.remove(value)
    return part


def _border(graph: ir.Graph, name: str) -> list[str]:
    """Return the tensors that pass from the nodes up to the one that gives `name` to the rest.

    Only what depends on the model's inputs: the rest, weights among it, is computed anew.
    """
    nodes = list(graph)
    given = next((i for i, node in enumerate(nodes) if name in {v.name for v in node.outputs}), -1)
    moving = {value for value in graph.inputs if not value.is_initializer()}
    for node in nodes[: given + 1]:
        if not moving.isdisjoint(_read(node)):
            moving.update(node.outputs)
    later = {value for node in nodes[given + 1 :] for value in _read(node)}
    return sorted(value.name or "" for value in moving & later)


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """Return what a node and the bodies in it read."""
    yield from (value for value in node.inputs if value is not None)
    for body in subgraphs(node):
        for inner in body.all_nodes():
            yield from (value for value in inner.inputs if value is not None)
        yield from body.outputs
