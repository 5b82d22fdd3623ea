"""Running data through a model and watching its tensors, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import onnx_ir as ir

from onnxpress.calibration.method import Range
from onnxpress.calibration.parallel import cores, in_order
from onnxpress.errors import DataError
from onnxpress.session import Session

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Data, Feeds
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

BUDGET: Final = 128 << 20
"""Bytes of activations that may be outside of ONNX Runtime at any time."""

_BYTES: Final = 4  # every tensor is watched as float32
_SMALL: Final = 1 << 17  # bytes that are fed in one batch
_MOST_WORKERS: Final = 4
_WORTH_REDUCING: Final = 1 << 18  # mean bytes of a tensor


class Values(NamedTuple):
    """What one batch put into one tensor.

    Attributes:
        name: The tensor.
        array: Its values, float32 of one axis; valid until the next batch.
        span: The smallest and the largest of them.
    """

    name: str
    array: Array
    span: Range


class Activations:
    """Tensors of a model while data runs through it.

    Every pass goes through the data once and builds one session.  A tensor that is
    empty in all batches gets no statistics.

    Args:
        model: The model.
        tensors: Names of floating-point tensors; those that are not in the main graph
            are left out.
        data: What to feed.
        job: Told of progress.
        budget: Bytes of activations that may be handed out to `values` at any time;
            tensors beyond it are watched in further passes.

    Attributes:
        names: The tensors that are watched.
    """

    def __init__(
        self, model: Model, tensors: Sequence[str], data: Data, job: Job, budget: int = BUDGET
    ) -> None:
        known = _names(model.ir.graph)
        self.names = tuple(name for name in dict.fromkeys(tensors) if name in known)
        self._model, self._data, self._job, self._budget = model, data, job, budget
        self._whole: Session | None = None  # hands out all tensors, if they fit the budget

    def spans(self) -> Iterator[tuple[str, Range]]:
        """Return the smallest and the largest value of every tensor, batch by batch.

        Large tensors that do not fit the budget are reduced inside the graph, and never
        leave ONNX Runtime.  Others are reduced outside: a graph with thousands of
        reductions takes long to set up.

        Raises:
            DataError: If a tensor holds NaN or infinite values; says which, and when.
        """
        total = sum(self._sizes.values()) * _BYTES
        if self._whole or total < len(self._sizes) * _WORTH_REDUCING:
            yield from ((name, span) for name, _, span in self.values())
            return
        model, outputs = _reducing(self._model, self.names)
        for index, results in self._run(self._session(model)):
            for name, reductions in outputs.items():
                low, high, total, size = (results[output].item() for output in reductions)
                if size:
                    _check_finite(name, index, low, high, total)
                    yield name, Range(low, high)

    def values(self, names: Sequence[str] | None = None) -> Iterator[Values]:
        """Hand out the values of tensors, batch by batch.

        Goes through the data once for each group of tensors that fits the budget.

        Args:
            names: Which of the tensors; all of them by default.

        Raises:
            DataError: If a tensor holds NaN or infinite values; says which, and when.
        """
        wanted = set(self.names if names is None else names)
        sizes = {name: size for name, size in self._sizes.items() if name in wanted}
        for group in self._groups(sizes):
            session = self._whole or self._session(self._model, group)
            for index, results in self._run(session, group):
                for name, array in results.items():
                    if array.size:
                        flat = array.reshape(-1).astype(np.float32, copy=False)
                        span = Range(float(flat.min()), float(flat.max()))
                        _check_finite(name, index, *span)
                        yield Values(name, flat, span)

    @cached_property
    def _first(self) -> Feeds | None:
        batch = next(iter(self._data), None)
        return None if batch is None else batch.feeds

    @cached_property
    def _workers(self) -> int:
        """How many batches to run at once.

        Small batches keep threads busy better when each has its own; with large ones, that
        would only multiply the memory.
        """
        small = sum(array.nbytes for array in (self._first or {}).values()) <= _SMALL
        return min(cores(), _MOST_WORKERS) if small else 1

    def _session(self, model: Model, outputs: Sequence[str] = ()) -> Session:
        threads = 0 if self._workers == 1 else max(cores() // self._workers, 1)
        return Session(model, outputs=outputs, threads=threads)

    def _run(
        self, session: Session, outputs: Sequence[str] | None = None
    ) -> Iterator[tuple[int, dict[str, Array]]]:
        batches = (batch.feeds for batch in self._job.track(self._data, "calibrating"))
        results = in_order(lambda feeds: session.run(feeds, outputs), batches, self._workers)
        yield from enumerate(results)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Count the elements of every tensor in the first batch."""
        if not self.names or self._first is None:
            return {}
        session = self._session(self._model, self.names)
        sizes = session.sizes(self._first)
        unknown = [name for name in self.names if sizes[name] is None]
        if unknown:
            model, outputs = _reducing(self._model, unknown, ("Size",))
            results = Session(model).run(self._first)
            sizes.update((name, results[found].item()) for name, (found,) in outputs.items())
        found = {name: sizes[name] or 0 for name in self.names}
        if len(list(self._groups(found))) == 1:
            self._whole = session
        return found

    def _groups(self, sizes: Mapping[str, int]) -> Iterator[Sequence[str]]:
        """Split tensors so that what runs hand out of each part fits the budget."""
        group: list[str] = []
        spent = 0
        for name, size in sizes.items():
            needs = size * _BYTES * self._workers
            if group and spent + needs > self._budget:
                yield group
                group, spent = [], 0
            group.append(name)
            spent += needs
        if group:
            yield group


def _names(graph: ir.Graph) -> set[str | None]:
    """Return the names of all that the graph could hand out; subgraphs keep theirs inside."""
    computed = {value.name for node in graph for value in node.outputs}
    return computed | {value.name for value in graph.inputs}


# ReduceMin passes over some NaN; a sum never does.
_REDUCTIONS: Final = ("ReduceMin", "ReduceMax", "ReduceSum", "Size")


def _reducing(
    model: Model, names: Sequence[str], reductions: Sequence[str] = _REDUCTIONS
) -> tuple[Model, dict[str, list[str]]]:
    """Return a model that gives scalars, and which of its outputs tell of which tensor."""
    edit = model.edit()
    edit.graph.outputs.clear()
    outputs = {}
    for name in names:
        value = _append(edit, "Cast", edit.values[name], to=int(ir.DataType.FLOAT))
        outputs[name] = [_reduced(edit, op_type, value) for op_type in reductions]
    return edit.done(), outputs


def _reduced(edit: Editor, op_type: str, value: ir.Value) -> str:
    keeps = {} if op_type == "Size" else {"keepdims": 0}
    output = _append(edit, op_type, value, **keeps)
    output.type = ir.TensorType(ir.DataType.INT64 if op_type == "Size" else ir.DataType.FLOAT)
    edit.graph.outputs.append(output)
    return output.name or ""


def _append(edit: Editor, op_type: str, value: ir.Value, **attributes: int) -> ir.Value:
    node = edit.node(op_type, [value], f"{value.name}:{op_type}", attributes)
    edit.graph.append(node)
    return node.outputs[0]


def _check_finite(name: str, index: int, low: float, high: float, total: float = 0.0) -> None:
    # A sum of large numbers may overflow to an infinity, but never to NaN on its own.
    if np.isfinite((low, high)).all() and not np.isnan(total):
        return
    kind = "NaN" if np.isnan((low, high, total)).any() else "infinite values"
    raise DataError(
        f"the tensor {name!r} holds {kind} in batch {index + 1} of the calibration data; "
        "leave that batch out, or the layers that produce it (exclude=…)"
    )
