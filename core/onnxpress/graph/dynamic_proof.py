"""The proof that a model with a free batch size gives what the original gives for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.errors import DataError, ModelError
from onnxpress.graph.dynamic_site import Place

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

_COUNT: Final = 3
# Kernels sum in another order for another batch size; relative to the largest magnitude.
_ROUNDING: Final[Mapping[str, float]] = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}
_ADVICE: Final = (
    "; export the model with a free batch size (in PyTorch: dynamic_shapes), or run it as it is"
)


def prove(
    original: Model,
    dynamic: Model,
    places: Mapping[str, Place],
    samples: Sequence[Feeds] | None,
) -> None:
    """Compare the outputs for several runs at once with those of the original, run by run.

    Args:
        original: The model with a fixed batch size.
        dynamic: The one with a free batch size.
        places: Where the batch is in the tensors that grow with it, by name.
        samples: Feeds of the original; random ones if None.

    Raises:
        ModelError: If they differ, or can't be told apart, or the model does not run.
    """
    from onnxpress.data.random import random_batches
    from onnxpress.session import Session

    runs = list(samples) if samples is not None else random_batches(original, _COUNT)
    shared = {name: array for name, array in runs[0].items() if name not in places}
    runs = [{**feeds, **shared} for feeds in runs]
    session = Session(original)
    single = [_tables(session.run(feeds)) for feeds in runs]
    if not any(_tells_apart([result[name] for result in single]) for name in single[0]):
        raise ModelError(
            "it can't be shown that the model keeps its samples apart: its outputs are the same "
            "for different inputs; give samples that differ"
        )
    joined = {
        n: np.concatenate([run[n] for run in runs], places[n].axis) for n in places if n in runs[0]
    }
    feeds = {**shared, **joined}
    together = _tables(_run(dynamic, feeds))
    for value in original.outputs:
        name = value.name or ""
        place = places.get(name) if isinstance(value.type, ir.TensorType) else Place(0)
        if not _agrees([result[name] for result in single], together[name], place):
            where = _first_difference(original, dynamic, places, runs, feeds)
            raise ModelError(_refusal(name, place, where, len(runs)))


def _run(dynamic: Model, feeds: Feeds) -> dict[str, Any]:
    from onnxpress.session import Session

    try:
        return Session(dynamic).run(feeds)
    except (ModelError, DataError) as error:
        raise ModelError(f"the batch size can't be made free: {error}{_ADVICE}") from error


def _refusal(name: str, place: Place | None, where: str, count: int) -> str:
    what = (
        "does not grow with the batch"
        if place is None
        else f"is not that of {count} single runs when they come as one batch"
    )
    return f"the batch size can't be made free: output {name!r} {what}{where}{_ADVICE}"


def _tells_apart(results: Sequence[Array]) -> bool:
    first = results[0]
    return any(r.shape != first.shape or not np.array_equal(r, first) for r in results[1:])


def _agrees(single: Sequence[Array], together: Array, place: Place | None) -> bool:
    """Say whether a batch gives what its samples give, but for rounding."""
    if place is not None and place.outer != 1:
        rows = [np.split(array, place.outer, place.axis) for array in (*single,)]
        parts = [part for group in zip(*rows, strict=True) for part in group]
    else:
        parts = list(single)
    if place is None:
        return all(_close(part, together) for part in parts)
    return _close(np.concatenate(parts, axis=place.axis), together)


def _close(wanted: Array, found: Array) -> bool:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    if wanted.dtype.kind != "f":
        return np.array_equal(wanted, found)
    share = _ROUNDING.get(wanted.dtype.name, _ROUNDING["float32"])
    finite = np.abs(wanted[np.isfinite(wanted)])
    slack = share * float(finite.max(initial=0))
    return np.allclose(found, wanted, rtol=share, atol=slack, equal_nan=True)


def _tables(results: Mapping[str, Any]) -> dict[str, Array]:
    """Return results as arrays; what classical models give, a list of dicts, as a table."""
    return {
        name: np.array([list(row.values()) for row in result], np.float32)
        if isinstance(result, list) and all(isinstance(row, dict) for row in result)
        else np.asarray(result)
        for name, result in results.items()
    }


def _first_difference(
    original: Model,
    dynamic: Model,
    places: Mapping[str, Place],
    runs: Sequence[Feeds],
    feeds: Feeds,
) -> str:
    """Return the first node whose result is not that of the single runs, as the end of a text."""
    from onnxpress.session import Session

    kept = {value.name for node in dynamic.ir.graph for value in node.outputs}
    nodes = {v.name or "": node for node in original.ir.graph for v in node.outputs}
    names = [name for name in nodes if name in kept and name in places]
    with suppress(ModelError, DataError):
        one = Session(original, outputs=names, optimize=False)
        single = [_tables(one.run(feeds)) for feeds in runs]
        together = _tables(Session(dynamic, outputs=names, optimize=False).run(feeds))
        for name in names:
            if not _agrees([r[name] for r in single], together[name], places[name]):
                return f", from node {nodes[name].name or name!r} ({nodes[name].op_type}) on"
    return ""
