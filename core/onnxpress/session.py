"""Running a model in ONNX Runtime on the CPU, for calibration, metrics and checks."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onnxpress.errors import DataError, ModelError, UnknownNameError, suggestion
from onnxpress.lending import lend
from onnxpress.ordering import CPU

if TYPE_CHECKING:
    import onnxruntime as ort

    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

# ONNX Runtime 1.32 reports home by default; it reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_SILENT: Final = 4  # what goes wrong comes as an exception
_LONGEST: Final = 500  # characters
_NUMPY_NAMES: Final = {"float": "float32", "double": "float64", "string": "object"}


class Session:
    """A model loaded into ONNX Runtime; it may be run any number of times.

    Large weights are read where they lie, in memory or in a file, so a model may be larger
    than a protobuf and nothing is copied on the way.

    Args:
        model: The model.
        outputs: Names of inner tensors of the main graph to return as well.
        threads: Threads within an operator; 0 takes one per core.
        optimize: Whether ONNX Runtime may fuse and fold; without, every tensor is computed
            as the graph says.

    Attributes:
        outputs: The names of all that `run` returns: the model's outputs, then `outputs`.

    Raises:
        UnknownNameError: If there is no tensor of a name in `outputs`.
        ModelError: If ONNX Runtime does not take the model, with what it said.
    """

    def __init__(
        self,
        model: Model,
        *,
        outputs: Sequence[str] = (),
        threads: int = 0,
        optimize: bool = True,
    ) -> None:
        own = [value.name or "" for value in model.outputs]
        extra = [name for name in dict.fromkeys(outputs) if name not in own]
        _check_names(model, extra)
        self.outputs: tuple[str, ...] = (*own, *extra)
        self._given = _given(model, extra)
        added = [name for name in extra if name not in self._given]
        self._session, self._kept = open_session(
            model, outputs=added, threads=threads, optimize=optimize
        )
        self._inputs = {i.name: i for i in self._session.get_inputs()}
        self._optional = {i.name: i for i in self._session.get_overridable_initializers()}
        # ONNX Runtime says of these that they have no axes.
        self._any_rank = {value.name for value in model.inputs if value.shape is None}

    def run(self, feeds: Feeds, outputs: Iterable[str] | None = None) -> dict[str, Array]:
        """Run once; return the wanted outputs (all by default) by name.

        Args:
            feeds: One array for every input, by name.
            outputs: Names among the attribute `outputs`.

        Raises:
            DataError: If an array is missing, unknown, or of another type or shape.
            ModelError: If ONNX Runtime fails, with what it said.
        """
        arrays = self._checked(feeds)
        names = list(self.outputs if outputs is None else outputs)
        known = self._known(arrays)
        computed = [name for name in names if name not in known]
        try:
            results: list[Any] = self._session.run(computed, arrays) if computed else []
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise ModelError(f"ONNX Runtime fails to run the model: {said(error)}") from error
        known.update(zip(computed, results, strict=True))
        return {name: known[name] for name in names}

    def sizes(self, feeds: Feeds) -> dict[str, int | None]:
        """Return how many elements every output will have, None where that is not known ahead.

        Args:
            feeds: One array for every input, by name.
        """
        arrays = self._checked(feeds)
        dims: dict[str, int] = {}
        for name, wanted in self._inputs.items():
            pairs = zip(wanted.shape, arrays[name].shape, strict=name not in self._any_rank)
            dims.update((dim, size) for dim, size in pairs if isinstance(dim, str))
        found: dict[str, int | None] = {n: array.size for n, array in self._known(arrays).items()}
        for output in self._session.get_outputs():
            shape = [dims.get(dim, dim) for dim in output.shape]
            ints = [size for size in shape if isinstance(size, int)]
            found[output.name] = math.prod(ints) if len(ints) == len(shape) else None
        return found

    def _known(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Return the outputs that need no computing."""
        return {
            name: arrays[name] if stored is None or name in arrays else stored
            for name, stored in self._given.items()
        }

    def _checked(self, feeds: Feeds) -> dict[str, Array]:
        known = {**self._optional, **self._inputs}
        for name in feeds:
            if name not in known:
                raise DataError(f"the model has no input {name!r}{suggestion(name, known)}")
        for name in self._inputs:
            if name not in feeds:
                raise DataError(
                    f"no array for input {name!r}; the model needs {', '.join(self._inputs)}"
                )
        return {
            name: _checked(array, known[name], ranked=name not in self._any_rank)
            for name, array in feeds.items()
        }


def said(error: Exception) -> str:
    """Return what ONNX Runtime said, without codes, source files and line breaks."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"\S*onnxruntime\S*\.(?:cc|h):\d+ [^()]*\([^()]*\)(?: const)? ?", "", text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def session_options(threads: int = 0) -> ort.SessionOptions:
    """Return options for a session that says nothing; 0 threads take one per core."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _SILENT
    return options


def open_session(
    model: Model,
    *,
    outputs: Iterable[str] = (),
    threads: int = 0,
    optimize: bool = True,
    provider: str = CPU,
) -> tuple[ort.InferenceSession, list[ort.OrtValue]]:
    """Load a model into ONNX Runtime as it is, for those who feed it themselves.

    Args:
        model: The model.
        outputs: Names of inner tensors to return after its own outputs.
        threads: Threads within an operator; 0 takes one per core.
        optimize: Whether ONNX Runtime may fuse and fold.
        provider: The execution provider; what it can't run, the CPU does.

    Returns:
        The session, and what has to live as long as it does.

    Raises:
        ModelError: If ONNX Runtime does not take the model, with what it said.
    """
    import onnxruntime as ort

    loan = lend(model.ir)
    for name in outputs:
        loan.proto.graph.output.add(name=name)
    options = session_options(threads)
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    kept = loan.apply(options)
    serialized = loan.proto.SerializeToString()
    try:
        return ort.InferenceSession(serialized, options, list(dict.fromkeys((provider, CPU)))), kept
    except Exception as error:  # as in `run`
        raise ModelError(f"ONNX Runtime does not load the model: {said(error)}") from error


def _check_names(model: Model, names: Iterable[str]) -> None:
    graph = model.ir.graph
    known = {v.name or "" for v in (*graph.inputs, *graph.initializers.values())}
    known.update(v.name or "" for node in graph for v in node.outputs)
    for name in names:
        if name not in known:
            raise UnknownNameError("tensor", name, known)


def _given(model: Model, names: Iterable[str]) -> dict[str, Array | None]:
    """Return those of `names` that need no computing: what is stored, and inputs (None)."""
    graph = model.ir.graph
    fed = {value.name for value in model.inputs}
    given: dict[str, Array | None] = {}
    for name in names:
        tensor = graph.initializers[name].const_value if name in graph.initializers else None
        if tensor is not None or name in fed:
            given[name] = None if tensor is None else np.asarray(tensor.numpy())
    return given


def _checked(array: Array, wanted: ort.NodeArg, *, ranked: bool) -> Array:
    where = f"the array for input {wanted.name!r}"
    if not isinstance(array, np.ndarray | np.generic):
        raise DataError(f"{where} is a {type(array).__name__}, not a numpy array")
    kind = wanted.type.removeprefix("tensor(").removesuffix(")")
    dtype = _NUMPY_NAMES.get(kind, kind)
    if array.dtype.name != dtype and not (dtype == "object" and array.dtype.kind in "OSU"):
        raise DataError(f"{where} is {array.dtype.name}, but the model takes {dtype}")
    shape = list(wanted.shape)
    if not ranked:
        return np.asarray(array)
    if len(shape) != array.ndim:
        raise DataError(
            f"{where} has shape {array.shape}, but the model takes {len(shape)} axes: {shape}"
        )
    for axis, (size, dim) in enumerate(zip(array.shape, shape, strict=True)):
        if isinstance(dim, int) and size != dim:
            raise DataError(
                f"{where} has shape {array.shape}; at axis {axis} the model takes {dim}: {shape}"
            )
    return np.asarray(array)
